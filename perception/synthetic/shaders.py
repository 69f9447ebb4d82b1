"""GLSL of the renderer: one pass for the scene, one for the sky, one for shadows."""

SCENE_VERTEX = """
#version 330
uniform mat4 clip_from_world;
uniform mat4 shadow_from_world;
uniform vec4 depth_row;
in vec3 position;
in vec3 normal;
in vec2 uv;
in vec4 colour;
in uint layer;
in uint id;
out vec3 v_position;
out vec3 v_normal;
out vec2 v_uv;
out vec4 v_colour;
out vec3 v_shadow;
out float v_depth;
flat out uint v_layer;
flat out uint v_id;
void main() {
    v_position = position;
    v_normal = normal;
    v_uv = uv;
    v_colour = colour;
    v_layer = layer;
    v_id = id;
    v_shadow = (shadow_from_world * vec4(position + normal * 0.06, 1.0)).xyz;
    v_depth = dot(depth_row, vec4(position, 1.0));
    gl_Position = clip_from_world * vec4(position, 1.0);
}
"""

_COMMON = """
uniform vec3 eye;
uniform vec3 sun_direction;
uniform vec3 sun;
uniform vec3 zenith;
uniform vec3 horizon;
uniform float cloud;
uniform vec3 gain;
uniform sampler2DArray layers;

vec3 sky(vec3 ray) {
    float up = max(ray.z, 0.0);
    return mix(horizon, zenith, pow(up, 0.55));
}

// Radiance to display: soft shoulder, then the usual gamma.
vec3 display(vec3 radiance) {
    vec3 c = radiance * gain;
    c = c * (1.0 + c * 0.16) / (1.0 + c * 0.6);
    return pow(clamp(c, 0.0, 1.0), vec3(0.4545));
}
"""

SCENE_FRAGMENT = (
    """
#version 330
"""
    + _COMMON
    + """
uniform vec3 ambient;
uniform float fog;
uniform float wet;
uniform float lamps;
uniform float shadow_strength;
uniform sampler2DShadow shadow_map;
in vec3 v_position;
in vec3 v_normal;
in vec2 v_uv;
in vec4 v_colour;
in vec3 v_shadow;
in float v_depth;
flat in uint v_layer;
flat in uint v_id;
layout(location = 0) out vec4 out_colour;
layout(location = 1) out uint out_id;
layout(location = 2) out float out_depth;

const uint LAMP = 1u;
const float NOISE = 2.0;
const uint LAST_GROUND = 2u;  // drivable, pavement, terrain

void main() {
    vec3 to_eye = eye - v_position;
    float distance = length(to_eye);
    to_eye /= distance;
    vec4 tile = texture(layers, vec3(v_uv, float(v_layer)));
    vec3 albedo = v_colour.rgb * v_colour.rgb * tile.rgb * 2.0;
    vec3 n = normalize(v_normal);
    if (dot(n, to_eye) < 0.0) n = -n;
    float gloss = v_colour.a;
    float glass = (v_layer == LAMP) ? 0.0 : tile.a;
    if (v_id <= LAST_GROUND) {
        vec3 patchy = texture(layers, vec3(v_position.xy * 0.021, NOISE)).rgb;
        albedo *= 0.45 + patchy.r * 0.6 + patchy.b * 0.5;
        float film = wet * smoothstep(0.35, 0.6, patchy.g + wet * 0.25);
        albedo *= 1.0 - 0.55 * film;
        gloss = film * 0.9;
    }
    float lit = max(dot(n, sun_direction), 0.0);
    vec3 s = v_shadow * 0.5 + 0.5;
    float shade = 1.0;
    if (max(max(abs(v_shadow.x), abs(v_shadow.y)), abs(v_shadow.z)) < 1.0)
        shade = mix(1.0, texture(shadow_map, vec3(s.xy, s.z - 0.0006)), shadow_strength);
    vec3 bounce = ambient * vec3(0.55, 0.52, 0.48);
    vec3 light = mix(bounce, ambient, n.z * 0.5 + 0.5) * mix(0.62, 1.0, shade) + sun * lit * shade;
    vec3 radiance = albedo * light;
    float shine = max(gloss, glass);
    if (shine > 0.0) {
        vec3 mirrored = reflect(-to_eye, n);
        float fresnel = 0.05 + 0.95 * pow(1.0 - max(dot(n, to_eye), 0.0), 5.0);
        vec3 seen = mirrored.z > 0.0 ? sky(mirrored) : horizon * 0.25;
        float dark = smoothstep(-0.05, 0.35, mirrored.z);  // houses stand around: low rays hit them
        seen *= mix(0.35, 1.0, dark);
        float glint = pow(max(dot(mirrored, sun_direction), 0.0), 60.0) * shade;
        float amount = shine * mix(fresnel, 0.35, glass * 0.6);
        radiance = radiance * (1.0 - amount) + seen * amount + sun * glint * shine;
    }
    if (v_layer == LAMP) radiance = v_colour.rgb * lamps;
    if (lamps > 3.0 && glass > 0.4) {  // some windows are lit at dusk
        vec2 pane = floor(v_uv * 4.0);
        float seed = dot(pane, vec2(12.99, 78.23)) + floor(v_position.x * 0.1);
        float chance = fract(sin(seed) * 437.5);
        if (chance > 0.6) radiance += vec3(0.75, 0.55, 0.3) * glass * chance * 0.7;
    }
    float haze = exp(-distance * fog);
    radiance = mix(horizon * 0.92, radiance, haze);
    out_colour = vec4(display(radiance), 1.0);
    out_id = v_id;
    out_depth = v_depth;
}
"""
)

SKY_VERTEX = """
#version 330
uniform vec4 rectangle;  // ray x0, y0, x1, y1 of the face
uniform mat3 world_from_face;
in vec2 corner;
out vec3 v_ray;
void main() {
    vec2 tangent = mix(rectangle.xy, rectangle.zw, corner * 0.5 + 0.5);
    v_ray = world_from_face * vec3(tangent, 1.0);
    gl_Position = vec4(corner, 1.0, 1.0);
}
"""

SKY_FRAGMENT = (
    """
#version 330
"""
    + _COMMON
    + """
uniform uint sky_id;
uniform float cloud_shift;
in vec3 v_ray;
layout(location = 0) out vec4 out_colour;
layout(location = 1) out uint out_id;
layout(location = 2) out float out_depth;
void main() {
    vec3 ray = normalize(v_ray);
    vec3 colour = sky(ray);
    vec2 at = ray.xy / (max(ray.z, 0.0) + 0.12) * 0.09 + cloud_shift;
    float cover = texture(layers, vec3(at, 38.0)).r;
    float amount = smoothstep(0.62 - cloud * 0.45, 0.8 - cloud * 0.2, cover);
    amount *= smoothstep(0.0, 0.12, ray.z);
    vec3 white = horizon * 1.12 + sun * 0.12;
    colour = mix(colour, white * (0.65 + 0.5 * cover), amount * 0.9);
    float near_sun = max(dot(ray, sun_direction), 0.0);
    colour += sun * (0.25 * pow(near_sun, 24.0) + 3.0 * pow(near_sun, 900.0)) * (1.0 - 0.8 * cloud);
    out_colour = vec4(display(colour), 1.0);
    out_id = sky_id;
    out_depth = 1.0 / 0.0;
}
"""
)

SHADOW_VERTEX = """
#version 330
uniform mat4 shadow_from_world;
in vec3 position;
void main() { gl_Position = shadow_from_world * vec4(position, 1.0); }
"""

SHADOW_FRAGMENT = """
#version 330
void main() {}
"""
