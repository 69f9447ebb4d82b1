"""Renderer: one World seen by one camera at one time, picture and exact truth together.

moderngl over EGL, so it needs no window system; Mesa's llvmpipe serves where there is no GPU.
One pass writes colour, id and depth; the lens pass (faces.py) then bends all three alike.
"""

from dataclasses import dataclass

import moderngl
import numpy as np

from calib.rig import Camera
from perception.errors import PerceptionError
from perception.synthetic import shaders, textures
from perception.synthetic.faces import Face, Faces, faces_of
from perception.synthetic.light import Exposure, Light, developed
from perception.synthetic.mesh import FIRST_INSTANCE, VERTEX, joined
from perception.synthetic.scenery import SKY
from perception.synthetic.truth import ObjectTruth, object_truths
from perception.synthetic.world import World, WorldState
from perception.taxonomy import IGNORE

NEAR, FAR = 0.2, 3000.0
_CELL = 24.0  # metres: static meshes are grouped and culled in cells of this size
_SHADOW_SIZE = 2048
_SHADOW_REACH = 75.0  # metres around the ego vehicle that get shadows
_FORMAT = "3f4 3f4 2f4 4f1 1u2 1u2"
_NAMES = ("position", "normal", "uv", "colour", "layer", "id")


class RenderError(PerceptionError):
    """No off-screen OpenGL on this machine."""


@dataclass(frozen=True)
class View:
    """What one camera saw, and the truth about it.

    image: (H, W, 3) uint8 BGR. labels: (H, W) uint8 index into SCENE_CLASSES, IGNORE where the
    lens sees nothing. instances: (H, W) uint16, 0 where no object is. depth: (H, W) float32
    metres along the optical axis, inf for sky; None unless asked for. objects: those with at
    least one visible pixel. world_from_ego: (4, 4).
    """

    image: np.ndarray
    labels: np.ndarray
    instances: np.ndarray
    depth: np.ndarray | None
    objects: list[ObjectTruth]
    world_from_ego: np.ndarray
    camera: Camera


class _Scene:
    """Vertex buffers of one world, static part grouped in cells for culling."""

    def __init__(self, context: moderngl.Context, programs: list[moderngl.Program], world: World):
        ground = joined(world.ground)
        centres = np.array([mesh["position"].mean(0)[:2] for mesh in world.static])
        keys = np.floor(centres / _CELL).astype(int)
        order = np.lexsort((keys[:, 0], keys[:, 1]))
        meshes = [world.static[i] for i in order]
        edges = np.concatenate([[0], np.cumsum([len(mesh) for mesh in meshes])])
        cut = np.concatenate([[True], (np.diff(keys[order], axis=0) != 0).any(1)])
        starts = np.flatnonzero(cut)
        ends = np.append(starts[1:], len(meshes))
        static = joined(meshes)
        self.first = edges[starts]
        self.count = edges[ends] - self.first
        low, high = (
            np.array([f(static["position"][a : a + n], 0) for a, n in zip(self.first, self.count)])  # noqa: B905
            for f in (np.min, np.max)
        )
        self.centre, self.radius = (low + high) / 2, np.linalg.norm(high - low, axis=1) / 2
        self.ground_count = len(ground)
        self.ground = _arrays(context, programs[:1], _tiled(ground))
        self.static = _arrays(context, programs, _tiled(static))
        self.class_of_id = world.class_of_id()


class Renderer:
    """Draws worlds. Holds one OpenGL context; use it from the thread that made it.

    Raises RenderError when the machine has no EGL.
    """

    def __init__(self) -> None:
        try:
            self._context = moderngl.create_context(standalone=True, backend="egl", require=330)  # type: ignore[call-arg]
        except Exception as error:  # moderngl raises bare Exceptions of several kinds
            raise RenderError(
                f"no off-screen OpenGL ({str(error).splitlines()[0] if str(error) else error!r}); "
                "on Debian or Ubuntu install libegl1 and libgl1-mesa-dri"
            ) from error
        context = self._context
        self._scene_program = context.program(shaders.SCENE_VERTEX, shaders.SCENE_FRAGMENT)
        self._sky_program = context.program(shaders.SKY_VERTEX, shaders.SKY_FRAGMENT)
        self._shadow_program = context.program(shaders.SHADOW_VERTEX, shaders.SHADOW_FRAGMENT)
        tiles = textures.layers()
        self._layers = context.texture_array(
            (textures.SIZE, textures.SIZE, len(tiles)), 4, tiles.tobytes()
        )
        self._layers.build_mipmaps()
        self._layers.filter = (moderngl.LINEAR_MIPMAP_NEAREST, moderngl.LINEAR)
        self._shadow_map = context.depth_texture((_SHADOW_SIZE, _SHADOW_SIZE))
        self._shadow_map.compare_func = "<="
        self._shadow_buffer = context.framebuffer(depth_attachment=self._shadow_map)
        corners = np.array([-1, -1, 3, -1, -1, 3], "f4")
        self._sky = context.vertex_array(
            self._sky_program, [(context.buffer(corners.tobytes()), "2f4", "corner")]
        )
        self._targets: dict[tuple[int, int], moderngl.Framebuffer] = {}
        self._world: World | None = None
        self._time: float | None = None

    def render(
        self,
        world: World,
        camera: Camera,
        t: float,
        exposure: Exposure = Exposure(),
        depth: bool = True,
        boxes: bool = True,
    ) -> View:
        """Picture and truth of `camera` at `t` seconds; `depth` and `boxes` may be left out for
        speed."""
        self._show(world, t)
        faces = faces_of(camera.lens)
        world_from_camera = self._state.world_from_ego @ camera.ego_from_camera
        target = self._target(faces.width, faces.height)
        target.use()
        target.clear()
        for face in faces.faces:
            self._draw(world.light, face, world_from_camera, exposure)
        bgr = self._read(target, 0, "u1", 4, faces)[..., 2::-1]
        ids = faces.nearest(self._read(target, 1, "u2", 1, faces))
        labels = self._scene.class_of_id[ids]
        labels[faces.blind] = IGNORE
        image = faces.linear(np.ascontiguousarray(bgr))
        image = developed(image, exposure)
        ids[(ids < FIRST_INSTANCE) | faces.blind] = 0
        metres = None
        if depth:
            metres = faces.nearest(self._read(target, 2, "f4", 1, faces))
            metres[faces.blind] = np.nan
        objects = object_truths(self._state, self._meshes(), camera, ids) if boxes else []
        return View(image, labels, ids, metres, objects, self._state.world_from_ego, camera)

    def _meshes(self) -> dict[int, np.ndarray]:
        return self._positions

    def _show(self, world: World, t: float) -> None:
        """Upload what changed since the last call."""
        if world is not self._world:
            self._world, self._time = world, None
            self._scene = _Scene(self._context, [self._scene_program, self._shadow_program], world)
            self._parked = {}
            owned = joined([mesh for mesh in world.static if mesh["id"][0] >= FIRST_INSTANCE])
            for instance in np.unique(owned["id"]):
                self._parked[int(instance)] = owned["position"][owned["id"] == instance]
        if t == self._time:
            return
        self._time = t
        self._state: WorldState = world.at(t)
        moving = joined([actor.mesh for actor in self._state.actors if actor.mesh is not None])
        self._moving_count = len(moving)
        self._moving = _arrays(
            self._context, [self._scene_program, self._shadow_program], _tiled(moving)
        )
        self._positions = dict(self._parked)
        self._positions |= {
            a.instance: a.mesh["position"] for a in self._state.actors if a.mesh is not None
        }
        self._cast_shadows(world.light)

    def _cast_shadows(self, light: Light) -> None:
        centre = self._state.world_from_ego[:3, 3]
        toward = light.sun_direction
        side = np.cross([0, 0, 1.0], toward)
        side /= np.linalg.norm(side)
        up = np.cross(toward, side)
        rotation = np.stack([side, up, -toward])
        matrix = np.eye(4)
        matrix[:3, :3] = rotation / [[_SHADOW_REACH], [_SHADOW_REACH], [200.0]]
        matrix[:3, 3] = -matrix[:3, :3] @ centre
        self._shadow_matrix = matrix
        self._shadow_buffer.use()
        self._shadow_buffer.clear(depth=1.0)
        self._context.enable_only(moderngl.DEPTH_TEST)
        self._shadow_program["shadow_from_world"].write(_gl(matrix))
        near = (
            np.linalg.norm(self._scene.centre[:, :2] - centre[:2], axis=1) - self._scene.radius
            < 110
        )
        for index in np.flatnonzero(near):
            self._scene.static[1].render(
                first=int(self._scene.first[index]), vertices=int(self._scene.count[index])
            )
        if self._moving_count:
            self._moving[1].render(vertices=self._moving_count)

    def _draw(
        self, light: Light, face: Face, world_from_camera: np.ndarray, exposure: Exposure
    ) -> None:
        context, scene, program = self._context, self._scene, self._scene_program
        world_from_face = world_from_camera.copy()
        world_from_face[:3, :3] = world_from_camera[:3, :3] @ face.face_from_camera.T
        face_from_world = np.linalg.inv(world_from_face)
        clip = _projection(face) @ face_from_world
        camera_from_world = np.linalg.inv(world_from_camera)
        context.viewport = (face.left, 0, face.width, face.height)
        for shader in (program, self._sky_program):
            for name, value in (
                ("eye", world_from_camera[:3, 3]),
                ("sun_direction", light.sun_direction),
                ("sun", light.sun),
                ("zenith", light.zenith),
                ("horizon", light.horizon),
                ("cloud", light.cloud),
                ("gain", 1.25 * exposure.gain * np.asarray(exposure.white_balance)),
                ("ambient", light.ambient),
                ("fog", light.fog),
                ("wet", light.wet),
                ("lamps", light.lamps),
                ("shadow_strength", light.shadow),
                ("sky_id", SKY),
                ("cloud_shift", float(light.sun_direction[0] * 7)),
            ):
                if name in shader:
                    shader[name] = (
                        value if isinstance(value, int | float) else tuple(float(v) for v in value)
                    )
        program["clip_from_world"].write(_gl(clip))
        program["shadow_from_world"].write(_gl(self._shadow_matrix))
        program["depth_row"] = tuple(camera_from_world[2])
        self._sky_program["rectangle"] = (face.x0, face.y0, face.x1, face.y1)
        self._sky_program["world_from_face"].write(_gl(world_from_face[:3, :3]))
        program["layers"] = self._sky_program["layers"] = 0
        program["shadow_map"] = 1
        self._layers.use(0)
        self._shadow_map.use(1)
        context.enable_only(moderngl.DEPTH_TEST)
        context.depth_func = "1"  # ground is flat and drawn in painter's order
        scene.ground[0].render(vertices=scene.ground_count)
        context.depth_func = "<="
        local = scene.centre @ face_from_world[:3, :3].T + face_from_world[:3, 3]
        inside = local[:, 2] + scene.radius > NEAR
        for axis, a, sign in ((0, face.x0, 1), (0, face.x1, -1), (1, face.y0, 1), (1, face.y1, -1)):
            plane = sign * (local[:, axis] - a * local[:, 2]) / np.hypot(1, a)
            inside &= plane > -scene.radius
        if self._moving_count:
            self._moving[0].render(vertices=self._moving_count)
        for index in np.flatnonzero(inside)[np.argsort(local[inside, 2] - scene.radius[inside])]:
            scene.static[0].render(first=int(scene.first[index]), vertices=int(scene.count[index]))
        self._sky.render(vertices=3)

    def _target(self, width: int, height: int) -> moderngl.Framebuffer:
        if (width, height) not in self._targets:
            context = self._context
            self._targets[width, height] = context.framebuffer(
                [
                    context.texture((width, height), 4),
                    context.texture((width, height), 1, dtype="u2"),
                    context.texture((width, height), 1, dtype="f4"),
                ],
                context.depth_renderbuffer((width, height)),
            )
        return self._targets[width, height]

    def _read(
        self, target: moderngl.Framebuffer, index: int, dtype: str, channels: int, faces: Faces
    ) -> np.ndarray:
        raw = target.color_attachments[index].read(alignment=1)
        shape = (
            (faces.height, faces.width, channels) if channels > 1 else (faces.height, faces.width)
        )
        return np.frombuffer(raw, dtype).reshape(shape)


def _projection(face: Face) -> np.ndarray:
    """Clip coordinates of face-frame points. y keeps pointing down, so row 0 that OpenGL reads
    back first is the top of the picture."""
    matrix = np.zeros((4, 4))
    matrix[0, 0], matrix[0, 2] = 2 / (face.x1 - face.x0), -(face.x1 + face.x0) / (face.x1 - face.x0)
    matrix[1, 1], matrix[1, 2] = 2 / (face.y1 - face.y0), -(face.y1 + face.y0) / (face.y1 - face.y0)
    matrix[2, 2], matrix[2, 3] = (FAR + NEAR) / (FAR - NEAR), -2 * FAR * NEAR / (FAR - NEAR)
    matrix[3, 2] = 1
    return matrix


def _gl(matrix: np.ndarray) -> bytes:
    return np.ascontiguousarray(matrix.T, "f4").tobytes()


def _tiled(mesh: np.ndarray) -> np.ndarray:
    """Texture coordinates from metres to tiles; colours to square roots, which eight bits hold
    evenly."""
    mesh = mesh.copy()
    mesh["uv"] /= textures.TILE_METRES[mesh["layer"]][:, None]
    rgb = mesh["colour"][:, :3].astype(np.float32) / 255
    mesh["colour"][:, :3] = np.round(np.sqrt(rgb) * 255)
    return mesh


def _arrays(
    context: moderngl.Context, programs: list[moderngl.Program], mesh: np.ndarray
) -> list[moderngl.VertexArray]:
    data = mesh if len(mesh) else np.zeros(3, VERTEX)
    buffer = context.buffer(np.ascontiguousarray(data).tobytes())
    arrays = []
    for program in programs:
        names = [name for name in _NAMES if name in program]
        form = _FORMAT if len(names) > 1 else f"3f4 {VERTEX.itemsize - 12}x1"
        arrays.append(context.vertex_array(program, [(buffer, form, *names)]))
    return arrays
