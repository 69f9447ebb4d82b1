"""Where results go: log, picture, video, report."""
