"""Renderer: one World seen by one camera at one time, picture and exact truth together.

moderngl over EGL, so it needs no window system; Mesa's llvmpipe serves where there is no GPU.
One pass writes colour, id and depth; the lens pass (faces.py) then bends all three alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import moderngl
import numpy as np

from calib.pose import invert
from calib.rig import Camera
from perception.errors import PerceptionError
from perception.synthetic import shaders, textures
from perception.synthetic.classes import SKY
from perception.synthetic.faces import Face, Faces, faces_of
from perception.synthetic.light import Exposure, Light, developed
from perception.synthetic.mesh import FIRST_INSTANCE, VERTEX, joined
from perception.synthetic.truth import ObjectTruth, object_truths
from perception.synthetic.world import World, WorldState
from perception.taxonomy import IGNORE

NEAR, FAR = 0.2, 3000.0
_CELL = 24.0  # metres: static meshes are grouped and culled in cells of this size
_SHADOW_SIZE = 2048
_SHADOW_REACH = 75.0  # metres around the ego vehicle that get shadows
_SHADOW_CASTERS = 110.0  # metres around it in which cells are drawn for that
_FORMAT = "3f4 3f4 2f4 4f1 1u2 1u2"
_POSITION_ONLY = f"3f4 {VERTEX.itemsize - 12}x1"
_NAMES = ("position", "normal", "uv", "colour", "layer", "id")
_CLEAN = Exposure()


class RenderError(PerceptionError):
    """No off-screen OpenGL on this machine."""


@dataclass(frozen=True)
class View:
    """What one camera saw, and the truth about it.

    image: (H, W, 3) uint8 BGR. labels: (H, W) uint8 index into SCENE_CLASSES, IGNORE where the
    lens sees nothing. instances: (H, W) uint16, 0 where no object is. depth: (H, W) float32
    metres along the optical axis, inf for sky, NaN where the lens sees nothing; None unless asked
    for. objects: those with at least one visible pixel. world_from_ego: (4, 4).
    """

    image: np.ndarray
    labels: np.ndarray
    instances: np.ndarray
    depth: np.ndarray | None
    objects: list[ObjectTruth]
    world_from_ego: np.ndarray
    camera: Camera


class Renderer:
    """Draws worlds. Holds one OpenGL context; use it from the thread that made it.

    Raises RenderError when the machine has no EGL.
    """

    def __init__(self) -> None:
        context = self._context = _context()
        self._scene_program = context.program(shaders.SCENE_VERTEX, shaders.SCENE_FRAGMENT)
        self._sky_program = context.program(shaders.SKY_VERTEX, shaders.SKY_FRAGMENT)
        self._shadow_program = context.program(shaders.SHADOW_VERTEX, shaders.SHADOW_FRAGMENT)
        tiles = textures.layers()
        size = (textures.SIZE, textures.SIZE, len(tiles))
        self._layers = context.texture_array(size, 4, tiles.tobytes())
        self._layers.build_mipmaps()
        self._layers.filter = (moderngl.LINEAR_MIPMAP_NEAREST, moderngl.LINEAR)
        self._shadow_map = context.depth_texture((_SHADOW_SIZE, _SHADOW_SIZE))
        self._shadow_map.compare_func = "<="
        self._shadow_buffer = context.framebuffer(depth_attachment=self._shadow_map)
        corners = context.buffer(np.array([-1, -1, 3, -1, -1, 3], "f4").tobytes())
        self._sky = context.vertex_array(self._sky_program, [(corners, "2f4", "corner")])
        self._targets: dict[tuple[int, int], _Target] = {}
        self._world: World | None = None
        self._time: float | None = None

    def render(
        self,
        world: World,
        camera: Camera,
        t: float,
        exposure: Exposure = _CLEAN,
        depth: bool = True,
        boxes: bool = True,
    ) -> View:
        """Picture and truth of `camera` at `t` seconds; `depth` and `boxes` may be left out for
        speed. Fastest when consecutive calls share the world and the time."""
        self._show(world, t)
        faces = faces_of(camera.lens)
        world_from_camera = self._state.world_from_ego @ camera.ego_from_camera
        if (faces.width, faces.height) not in self._targets:
            self._targets[faces.width, faces.height] = _Target(self._context, faces)
        target = self._targets[faces.width, faces.height]
        target.frame.use()
        target.frame.clear()
        for face in faces.faces:
            self._draw(world.light, face, world_from_camera, exposure)
        colour = np.frombuffer(target.colour.read(), np.uint8)
        colour = colour.reshape(faces.height, faces.width, 4)
        image = developed(faces.linear(np.ascontiguousarray(colour[..., 2::-1])), exposure)
        ids = np.frombuffer(target.ids.read(alignment=1), np.uint16)
        ids = faces.nearest(ids.reshape(faces.height, faces.width))
        labels = self._class_of_id[ids]
        labels[faces.blind] = IGNORE
        ids[(ids < FIRST_INSTANCE) | faces.blind] = 0
        metres = None
        if depth:
            metres = np.frombuffer(target.depth.read(), np.float32)
            metres = faces.nearest(metres.reshape(faces.height, faces.width))
            metres[faces.blind] = np.nan
        objects = object_truths(self._state, self._positions, camera, ids) if boxes else []
        return View(image, labels, ids, metres, objects, self._state.world_from_ego, camera)

    def _show(self, world: World, t: float) -> None:
        """Upload what changed since the last call."""
        if world is not self._world:
            self._world, self._time = world, None
            ground = joined(world.ground)
            self._ground_count = len(ground)
            buffer = self._context.buffer(_tiled(ground).tobytes())
            self._ground = self._context.vertex_array(
                self._scene_program, [(buffer, _FORMAT, *_NAMES)]
            )
            self._static = self._batch(_cells(world.static))
            self._class_of_id = world.class_of_id()
            parked = [mesh for mesh in world.static if mesh["id"][0] >= FIRST_INSTANCE]
            self._parked = {int(mesh["id"][0]): mesh["position"] for mesh in parked}
        if t == self._time:
            return
        self._time = t
        self._state: WorldState = world.at(t)
        meshes = {a.instance: a.mesh for a in self._state.actors if a.mesh is not None}
        moving = list(meshes.values())
        self._batches = [self._batch(moving), self._static] if moving else [self._static]
        positions = {instance: mesh["position"] for instance, mesh in meshes.items()}
        self._positions = self._parked | positions
        self._cast_shadows(world.light)

    def _batch(self, groups: list[np.ndarray]) -> "_Batch":
        return _Batch(self._context, self._scene_program, self._shadow_program, groups)

    def _cast_shadows(self, light: Light) -> None:
        """Depth of the surroundings as the sun sees them: shadow mapping (Williams 1978)."""
        centre = self._state.world_from_ego[:3, 3]
        toward = light.sun_direction
        side = np.cross([0, 0, 1.0], toward)
        side /= np.linalg.norm(side)
        rotation = np.stack([side, np.cross(toward, side), -toward])
        matrix = np.eye(4)
        matrix[:3, :3] = rotation / [[_SHADOW_REACH], [_SHADOW_REACH], [200.0]]
        matrix[:3, 3] = -matrix[:3, :3] @ centre
        self._shadow_matrix = matrix
        self._shadow_buffer.use()
        self._shadow_buffer.clear(depth=1.0)
        self._context.enable_only(moderngl.DEPTH_TEST)
        _set(self._shadow_program, shadow_from_world=matrix)
        for batch in self._batches:
            batch.draw_shadows(centre)

    def _draw(
        self, light: Light, face: Face, world_from_camera: np.ndarray, exposure: Exposure
    ) -> None:
        context = self._context
        world_from_face = world_from_camera.copy()
        world_from_face[:3, :3] = world_from_camera[:3, :3] @ face.face_from_camera.T
        face_from_world = invert(world_from_face)
        for program in (self._scene_program, self._sky_program):
            _set(
                program,
                eye=world_from_camera[:3, 3],
                gain=1.25 * exposure.gain * np.asarray(exposure.white_balance),
                sun_direction=light.sun_direction,
                sun=light.sun,
                ambient=light.ambient,
                zenith=light.zenith,
                horizon=light.horizon,
                cloud=light.cloud,
                fog=light.fog,
                wet=light.wet,
                lamps=light.lamps,
                shadow_strength=light.shadow,
                cloud_shift=float(light.sun_direction[0] * 7),
                sky_id=SKY,
                layers=0,
                shadow_map=1,
                clip_from_world=_projection(face) @ face_from_world,
                shadow_from_world=self._shadow_matrix,
                depth_row=invert(world_from_camera)[2],
                rectangle=(face.x0, face.y0, face.x1, face.y1),
                world_from_face=world_from_face[:3, :3],
            )
        self._layers.use(0)
        self._shadow_map.use(1)
        context.viewport = (face.left, 0, face.width, face.height)
        context.enable_only(moderngl.DEPTH_TEST)
        context.depth_func = "1"  # always: ground is flat and drawn in painter's order
        self._ground.render(vertices=self._ground_count)
        context.depth_func = "<="
        for batch in self._batches:
            batch.draw(face, face_from_world)
        self._sky.render(vertices=3)


class _Target:
    """Textures that one atlas of faces is drawn into."""

    def __init__(self, context: moderngl.Context, faces: Faces) -> None:
        size = (faces.width, faces.height)
        self.colour = context.texture(size, 4)
        self.ids = context.texture(size, 1, dtype="u2")
        self.depth = context.texture(size, 1, dtype="f4")
        self.frame = context.framebuffer(
            [self.colour, self.ids, self.depth], context.depth_renderbuffer(size)
        )


class _Batch:
    """Groups of meshes in one vertex buffer, each with a bounding sphere to cull it by."""

    def __init__(
        self,
        context: moderngl.Context,
        scene: moderngl.Program,
        shadow: moderngl.Program,
        groups: Sequence[np.ndarray],
    ) -> None:
        vertices = joined(groups)
        self._count = np.array([len(group) for group in groups], int)
        self._first = np.cumsum(self._count) - self._count
        low = np.minimum.reduceat(vertices["position"], self._first)
        high = np.maximum.reduceat(vertices["position"], self._first)
        self.centre, self.radius = (low + high) / 2, np.linalg.norm(high - low, axis=1) / 2
        buffer = context.buffer(_tiled(vertices).tobytes())
        self._scene = context.vertex_array(scene, [(buffer, _FORMAT, *_NAMES)])
        self._shadow = context.vertex_array(shadow, [(buffer, _POSITION_ONLY, _NAMES[0])])

    def draw(self, face: Face, face_from_world: np.ndarray) -> None:
        """The groups that reach into the face's frustum, nearest first."""
        local = self.centre @ face_from_world[:3, :3].T + face_from_world[:3, 3]
        inside = local[:, 2] + self.radius > NEAR
        edges = ((0, face.x0, 1), (0, face.x1, -1), (1, face.y0, 1), (1, face.y1, -1))
        for axis, edge, sign in edges:
            outside = sign * (local[:, axis] - edge * local[:, 2]) / np.hypot(1, edge)
            inside &= outside > -self.radius
        near = np.argsort(local[inside, 2] - self.radius[inside])
        self._render(self._scene, np.flatnonzero(inside)[near])

    def draw_shadows(self, centre: np.ndarray) -> None:
        """Depth of the groups near `centre` (x, y, z)."""
        away = np.linalg.norm(self.centre[:, :2] - centre[:2], axis=1) - self.radius
        self._render(self._shadow, np.flatnonzero(away < _SHADOW_CASTERS))

    def _render(self, array: moderngl.VertexArray, groups: np.ndarray) -> None:
        for first, count in zip(
            self._first[groups].tolist(), self._count[groups].tolist(), strict=True
        ):
            array.render(first=first, vertices=count)


def _cells(meshes: list[np.ndarray]) -> list[np.ndarray]:
    """The meshes joined by the square of ground that they stand on."""
    cells: dict[tuple[int, int], list[np.ndarray]] = {}
    for mesh in meshes:
        x, y = np.floor(mesh["position"][:, :2].mean(0) / _CELL).astype(int).tolist()
        cells.setdefault((y, x), []).append(mesh)
    return [joined(cells[key]) for key in sorted(cells)]


def _context() -> moderngl.Context:
    try:
        context = moderngl.create_context(standalone=True, backend="egl", require=330)  # type: ignore[arg-type]
    except Exception as error:  # moderngl raises bare Exceptions of several kinds
        reason = (str(error) or repr(error)).splitlines()[0]
        raise RenderError(
            f"no off-screen OpenGL ({reason}); on Debian or Ubuntu install libegl1 and "
            "libgl1-mesa-dri"
        ) from error
    context.gc_mode = "auto"  # free the buffers of a world together with it
    return context


def _projection(face: Face) -> np.ndarray:
    """Clip coordinates of face-frame points. y keeps pointing down, so row 0 that OpenGL reads
    back first is the top of the picture."""
    matrix = np.zeros((4, 4))
    for axis, low, high in ((0, face.x0, face.x1), (1, face.y0, face.y1)):
        matrix[axis, axis], matrix[axis, 2] = 2 / (high - low), -(high + low) / (high - low)
    matrix[2, 2], matrix[2, 3] = (FAR + NEAR) / (FAR - NEAR), -2 * FAR * NEAR / (FAR - NEAR)
    matrix[3, 2] = 1
    return matrix


def _set(program: moderngl.Program, **values: float | Sequence[float] | np.ndarray) -> None:
    """Set those uniforms that the compiled program kept."""
    for name, value in values.items():
        uniform = program.get(name, None)
        if not isinstance(uniform, moderngl.Uniform):
            continue
        if isinstance(value, np.ndarray) and value.ndim == 2:
            uniform.write(np.ascontiguousarray(value.T, "f4").tobytes())
        else:
            uniform.value = tuple(value) if isinstance(value, Sequence | np.ndarray) else value


def _tiled(mesh: np.ndarray) -> np.ndarray:
    """Texture coordinates from metres to tiles; colours to square roots, which eight bits hold
    evenly."""
    mesh = mesh.copy()
    mesh["uv"] /= textures.TILE_METRES[mesh["layer"]][:, None]
    rgb = mesh["colour"][:, :3].astype(np.float32) / 255
    mesh["colour"][:, :3] = np.round(np.sqrt(rgb) * 255)
    return mesh
