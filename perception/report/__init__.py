"""Reports as single HTML pages: no script, no request, pictures and plots inside."""
