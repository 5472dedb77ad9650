"""The simulators: the facts of physics that they keep, and that their labels can be read from them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from edge_agent.sensors.scan import CHANNELS as SCAN_CHANNELS
from export.datasets.common import DatasetInfo, Samples
from export.simulate import camera, depth, gaze, gps, lidar, scenes, touch, video, views
from export.simulate.simulator import Simulator

CLASSIFIED = (depth.EVENTS, video.MOTION, touch.CONTACTS, gps.TRACKS)
MEASURED = (gaze.PHONE, lidar.MOTION, lidar.ROOM, camera.DEPTH_MAP)
ALL = (*CLASSIFIED, *MEASURED)


def names(simulator: Simulator) -> str:
    return simulator.INFO.name


@cache
def some_films() -> Samples:
    """They take seconds to make, so several tests share them."""
    return video.MOTION.of(600).load()


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def rooms(random) -> scenes.Scenes:
    return scenes.draw(random, 300)


@pytest.mark.parametrize("simulator", ALL, ids=names)
def test_a_simulator_keeps_what_its_facts_promise(simulator):
    samples = simulator.of(120).load()
    info = simulator.INFO
    assert info.kind == "simulated"
    assert samples.x.dtype == np.float32
    assert samples.x.shape == (120, round(info.window_s * info.rate_hz), len(info.channels))
    assert len(info.units) == len(info.channels)
    assert np.isfinite(samples.x).all()
    if info.labels:
        counts = np.bincount(samples.target, minlength=len(info.labels))
        assert len(counts) == len(info.labels)
        assert counts.max() - counts.min() <= 1
    else:
        assert samples.target.shape == (120, len(info.outputs))
        assert np.isfinite(samples.target).all()
        assert (samples.target.std(0) > 0).all()


@pytest.mark.parametrize("simulator", ALL, ids=names)
def test_the_seed_decides_and_nothing_else(simulator):
    one, same, other = (simulator.of(40, seed).load() for seed in (3, 3, 4))
    assert np.array_equal(one.x, same.x)
    assert np.array_equal(one.target, same.target)
    assert not np.array_equal(one.x, other.x)


@pytest.mark.parametrize("simulator", ALL, ids=names)
def test_no_scene_is_in_two_parts(simulator):
    samples = simulator.of(20 * simulator.per_group).load()
    assert len(np.unique(samples.group)) == 20
    shipped = simulator.shipped(samples)
    for fold in (shipped, *simulator.folds(samples)):
        parts = [set(samples.group[rows]) for rows in (fold.train, fold.validation, fold.test)]
        assert parts[0]
        assert parts[2]
        assert not (parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2])
    assert len(shipped.train) + len(shipped.validation) + len(shipped.test) == len(samples)


def test_what_is_computed_cannot_call_itself_real():
    real = replace(lidar.MOTION.INFO, kind="real")
    with pytest.raises(ValueError, match="simulated"):
        Simulator(real, lidar.motion_samples, 10, 10)
    assert isinstance(real, DatasetInfo)


def forest_features(simulator: Simulator, x: np.ndarray) -> np.ndarray:
    """Small enough for a test: pictures in blocks of 4 x 4 pixels, every sixth beam; and what changes.

    Of a film where it changes: across and down, frame by frame.
    """
    if simulator.INFO.modality == "video":
        change = np.abs(np.diff(x.reshape(len(x), -1, 24, 32, 3), axis=1)).mean(-1)
        across, down = change.mean(2).reshape(len(x), -1, 16, 2).mean(-1), change.mean(3)
        return np.concatenate([across.reshape(len(x), -1), down.reshape(len(x), -1)], axis=1)
    if simulator.INFO.modality == "camera":
        x = x.reshape(len(x), -1, 6, 4, 8, 4, 3).mean((3, 5)).reshape(len(x), x.shape[1], -1)
    if simulator.INFO.modality == "lidar":
        x = x[..., ::6]
    return np.concatenate([x, np.diff(x, axis=1)], axis=1).reshape(len(x), -1)


@pytest.mark.parametrize("simulator", CLASSIFIED, ids=names)
def test_a_forest_reads_the_labels_of_unseen_scenes(simulator):
    samples = some_films() if simulator is video.MOTION else simulator.of(600).load()
    fold = simulator.shipped(samples)
    x = forest_features(simulator, samples.x)
    forest = RandomForestClassifier(40, random_state=0).fit(x[fold.train], samples.target[fold.train])
    right = (forest.predict(x[fold.test]) == samples.target[fold.test]).mean()
    chance = 1 / len(simulator.INFO.labels)
    assert right > chance + 0.25


@pytest.mark.parametrize("simulator", [lidar.MOTION, lidar.ROOM, camera.DEPTH_MAP], ids=names)
def test_a_forest_reads_the_numbers_of_unseen_scenes(simulator):
    samples = simulator.of(600).load()
    fold = simulator.shipped(samples)
    x, y = forest_features(simulator, samples.x), samples.target
    forest = RandomForestRegressor(20, random_state=0, max_features=0.3, min_samples_leaf=3)
    forest.fit(x[fold.train], y[fold.train])
    error, floor = (
        np.abs(guess - y[fold.test]).mean(0)
        for guess in (forest.predict(x[fold.test]), y[fold.train].mean(0))
    )
    assert (error / floor).mean() < 0.92


@pytest.mark.parametrize(
    ("simulator", "pair"),
    [
        (depth.EVENTS, (depth.SWIPE_LEFT, depth.SWIPE_RIGHT)),
        (video.MOTION, (video.LEFT, video.RIGHT)),
        (video.MOTION, (video.APPROACHING, video.LEAVING)),
    ],
    ids=["swipes", "sideways", "lengthways"],
)
def test_the_direction_is_in_the_motion_and_in_no_single_frame(simulator, pair):
    """Where gestures are aligned with the windows one frame is enough, and no live window is aligned."""
    samples = some_films() if simulator is video.MOTION else simulator.of(600).load()
    fold = simulator.shipped(samples)
    x = samples.x.reshape(*samples.x.shape[:2], -1)
    if simulator is video.MOTION:
        x = x.reshape(len(x), -1, 6, 4, 8, 4, 3).mean((3, 5)).reshape(len(x), x.shape[1], -1)
    train, test = (rows[np.isin(samples.target[rows], pair)] for rows in (fold.train, fold.test))
    for frame in np.linspace(0, x.shape[1] - 1, 4).astype(int):
        forest = RandomForestClassifier(25, random_state=0).fit(x[train, frame], samples.target[train])
        assert (forest.predict(x[test, frame]) == samples.target[test]).mean() < 0.9


# Rooms and rays


def directions(random, *shape: int) -> np.ndarray:
    drawn = random.normal(size=(*shape, 3)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)


def stand(random, rooms: scenes.Scenes, height_m: float = 1.0) -> np.ndarray:
    spot_m = scenes.free_spots(random, rooms, 0.3)
    return np.column_stack([spot_m, np.full(len(rooms), height_m, np.float32)])


def test_furniture_stands_on_the_floor_of_its_room(rooms):
    there = rooms.low_m[..., 0] > scenes.NOWHERE_M / 2
    assert ((there.sum(1) >= 2) & (there.sum(1) <= scenes.BOXES)).all()
    size_m = np.broadcast_to(rooms.size_m[:, None], rooms.low_m.shape)
    assert (rooms.low_m[there] >= 0).all()
    assert (rooms.high_m[there] <= size_m[there] + 1e-4).all()
    assert (rooms.low_m[there][:, 2] == 0).all()
    assert (rooms.high_m[there] > rooms.low_m[there]).all()


def test_no_ray_is_longer_than_the_diagonal_of_the_room(random, rooms):
    hit = scenes.cast(rooms, stand(random, rooms), directions(random, len(rooms), 200))
    diagonal_m = np.linalg.norm(rooms.size_m, axis=1)
    assert (hit.range_m > 0).all()
    assert (hit.range_m <= diagonal_m[:, None] + 1e-4).all()


def test_a_ray_ends_on_the_surface_that_it_names(random, rooms):
    at_m, towards = stand(random, rooms), directions(random, len(rooms), 200)
    hit = scenes.cast(rooms, at_m, towards)
    points_m = at_m[:, None] + hit.range_m[..., None] * towards
    for axis in range(3):
        for surface, place in ((2 * axis, np.zeros(len(rooms))), (2 * axis + 1, rooms.size_m[:, axis])):
            off_m = np.abs(points_m[..., axis] - place[:, None])[hit.surface == surface]
            assert len(off_m) > 100
            assert off_m.max() < 1e-3
    facing = scenes.normals(rooms, hit, points_m)
    assert np.allclose(np.linalg.norm(facing, axis=-1), 1, atol=1e-2)
    assert ((facing * towards).sum(-1) < 1e-3).all()  # every surface that is seen looks back
    assert (hit.surface >= scenes.FIRST_BOX).mean() > 0.05


def test_furniture_and_people_only_ever_come_nearer_than_the_walls(random, rooms):
    at_m, towards = stand(random, rooms), directions(random, len(rooms), 100)
    away = np.full_like(rooms.low_m, scenes.NOWHERE_M)
    empty = replace(rooms.without_people(), low_m=away, high_m=away)
    walls_m = scenes.cast(empty, at_m, towards).range_m
    assert (scenes.cast(rooms, at_m, towards).range_m <= walls_m + 1e-4).all()


def test_a_person_in_the_way_is_met_at_the_skin():
    room = scenes.draw(np.random.default_rng(0), 1)
    away = np.full_like(room.low_m, scenes.NOWHERE_M)
    person = np.array([[[3.0, 2.0, 0.2, 1.7]]], np.float32)
    room = scenes.Scenes(np.array([[6.0, 4.0, 2.5]], np.float32), away, away, person)
    ahead = np.array([[[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]], np.float32)
    for height_m, expected in ((1.0, 1.8), (1.8, 5.0)):  # over the head it is the wall
        hit = scenes.cast(room, np.array([[1.0, 2.0, height_m]], np.float32), ahead)
        assert hit.range_m[0].tolist() == pytest.approx([expected, 1.0], abs=1e-4)
    assert hit.surface[0].tolist() == [1, 0]


# LiDAR


def walls_alone(random, n: int) -> scenes.Scenes:
    rooms = scenes.draw(random, n)
    away = np.full_like(rooms.low_m, scenes.NOWHERE_M)
    return replace(rooms.without_people(), low_m=away, high_m=away)


def test_turning_the_robot_by_whole_degrees_shifts_its_scan(random, rooms):
    at_m, heading = stand(random, rooms, 0.3), np.zeros(len(rooms), np.float32)
    before = lidar.scan(rooms, at_m, heading).range_m
    motion = np.tile(np.array([0, 0, np.radians(15)], np.float32), (len(rooms), 1))
    after = lidar.scan(rooms, *lidar.moved(at_m, heading, motion)).range_m
    # To the left (counter-clockwise): what was 15 degrees to the left of the front is in front now.
    off = np.abs(after - np.roll(before, 15, axis=1))
    assert np.quantile(off, 0.99) < 1e-3  # the rest graze an edge


def test_moving_the_robot_moves_the_scan_as_the_pose_says(random):
    """Points of the second scan, put back by the relative pose, lie on the walls that the first one saw."""
    rooms = walls_alone(random, 200)
    at_m, heading = stand(random, rooms, 0.3), random.uniform(-3, 3, 200).astype(np.float32)
    motion = np.column_stack([random.uniform(-0.1, 0.2, (200, 2)), random.uniform(-0.3, 0.3, 200)])
    then_m, then_heading = lidar.moved(at_m, heading, motion.astype(np.float32))
    inside = (then_m[:, :2] > 0.01).all(1) & (then_m[:, :2] < rooms.size_m[:, :2] - 0.01).all(1)
    ranges_m = lidar.scan(rooms, then_m, then_heading).range_m
    beam = -np.radians(np.arange(360))  # clockwise; x ahead, y left
    x, y = ranges_m * np.cos(beam), ranges_m * np.sin(beam)
    cos, sin = np.cos(motion[:, 2:]), np.sin(motion[:, 2:])
    x0, y0 = cos * x - sin * y + motion[:, :1], sin * x + cos * y + motion[:, 1:2]  # as seen from the first
    east = np.cos(heading)[:, None] * x0 - np.sin(heading)[:, None] * y0 + at_m[:, :1]
    north = np.sin(heading)[:, None] * x0 + np.cos(heading)[:, None] * y0 + at_m[:, 1:2]
    to_wall_m = np.minimum(
        np.minimum(np.abs(east), np.abs(east - rooms.size_m[:, :1])),
        np.minimum(np.abs(north), np.abs(north - rooms.size_m[:, 1:2])),
    )
    assert inside.sum() > 150
    assert to_wall_m[inside].max() < 1e-3


def test_driving_ahead_shortens_what_lies_in_front():
    room = walls_alone(np.random.default_rng(0), 1)
    room = replace(room, size_m=np.array([[6.0, 4.0, 2.5]], np.float32))
    at_m, heading = np.array([[2.0, 1.0, 0.3]], np.float32), np.zeros(1, np.float32)
    then_m, then_heading = lidar.moved(at_m, heading, np.array([[0.3, 0.1, 0.0]], np.float32))
    before, after = (lidar.scan(room, *pose).range_m[0] for pose in ((at_m, heading), (then_m, then_heading)))
    cross = [0, 90, 180, 270]  # ahead, right, behind, left
    assert before[cross].tolist() == pytest.approx([4.0, 1.0, 2.0, 3.0], abs=1e-4)
    assert after[cross].tolist() == pytest.approx([3.7, 1.1, 2.3, 2.9], abs=1e-4)


def test_a_scanner_is_noisy_loses_beams_and_ends_at_its_reach(random, rooms):
    hit = lidar.scan(rooms, stand(random, rooms, 0.3), np.zeros(len(rooms), np.float32))
    seen_m = lidar.measured(random, hit)
    there = seen_m > 0
    assert 0.85 < there.mean() < 0.99
    assert seen_m[there].min() >= lidar.NEAREST_M
    assert seen_m.max() <= lidar.REACH_M
    off_m = (seen_m - hit.range_m)[there]
    assert abs(off_m.mean()) < 1e-3
    assert lidar.NOISE_M < off_m.std() < 0.04
    assert lidar.MOTION.INFO.channels == tuple(channel.name for channel in SCAN_CHANNELS)


def test_half_of_the_beams_of_a_room_are_blocked_and_its_walls_are_the_truth():
    samples = lidar.ROOM.of(400).load()
    walls_m = np.repeat(samples.target, 10, axis=1)
    beams = samples.x[:, 0]
    on_direction = beams[:, ::10]
    assert (on_direction <= samples.target * 1.03 + 0.06).all()  # nothing lies beyond the walls
    reached = (np.abs(on_direction - samples.target) < 0.06).mean()
    assert 0.15 < reached < 0.5
    assert (beams == 0).mean() > 0.2
    assert walls_m.max() <= scenes.LARGEST_DIAGONAL_M
    # Opposite walls: across the room the two ways add up to the same from everywhere in it.
    opposite = samples.target[:, :18] + samples.target[:, 18:]
    assert (opposite <= scenes.LARGEST_DIAGONAL_M + 1e-3).all()


# Depth, camera, video


def test_a_flat_wall_is_equally_far_in_all_zones():
    """The chip gives the distance along the view, not along the ray."""
    room = walls_alone(np.random.default_rng(0), 1)
    room = replace(room, size_m=np.array([[20.0, 20.0, 20.0]], np.float32))
    level = np.zeros(1, np.float32)
    view = views.View(np.array([[17.0, 10, 10]], np.float32), level, level)
    depth_m, hit = views.look(room, view, views.pixels(8, 8, float(depth.FIELD_RAD)))
    assert depth_m == pytest.approx(3.0, abs=1e-4)
    assert (hit.surface == 1).all()


def test_right_is_right_and_down_is_down_in_a_view():
    axes = views.View(np.zeros((1, 3)), np.zeros(1, np.float32), np.zeros(1, np.float32)).axes()[0]
    assert np.allclose(axes, [[0, -1, 0], [0, 0, -1], [1, 0, 0]], atol=1e-6)  # looking along x
    rays = views.pixels(4, 2, 1.0)
    assert rays[0, 0] < 0 < rays[3, 0]
    assert rays[0, 1] < 0 < rays[-1, 1]


def test_a_walker_is_seen_where_he_is():
    one = np.ones(1, np.float32)
    walker = views.Walker(0.5 * one[:, None], 2 * one[:, None], 0.2 * one, 1.7 * one, 1.0 * one)
    x = np.linspace(-0.6, 0.6, 121, dtype=np.float32)
    seen_m, across = views.see(walker, x, np.array([0.0], np.float32))
    body = np.flatnonzero(np.isfinite(seen_m[0, 0, 0]))
    assert x[body].mean() == pytest.approx(0.25, abs=0.02)
    assert seen_m[0, 0, 0].min() == pytest.approx(2.06 - 0.2, abs=0.08)
    assert (np.diff(across[0, 0, 0, body]) > 0).all()  # from the left edge to the right
    above, _ = views.see(walker, np.array([0.25], np.float32), np.array([-0.5, 0.2], np.float32))
    assert np.isinf(above[0, 0, 0, 0])  # 2 m over the floor there is nobody
    assert np.isfinite(above[0, 0, 1, 0])


def test_a_hand_moves_over_the_zones_in_its_direction():
    samples = depth.EVENTS.of(1200).load()
    image = samples.x.reshape(-1, depth.FRAMES, 8, 8)
    near = (image > 0) & (image < 0.62)
    columns = np.arange(8)
    for label, sign in ((depth.SWIPE_LEFT, -1), (depth.SWIPE_RIGHT, 1)):
        hands = near[samples.target == label].sum(2)
        count = hands.sum(-1)
        first, last = (count > 0).argmax(1), depth.FRAMES - 1 - (count[:, ::-1] > 0).argmax(1)
        rows = np.flatnonzero((count > 0).any(1) & (last > first))
        place = (hands * columns).sum(-1) / np.maximum(count, 1)
        moved = sign * (place[rows, last[rows]] - place[rows, first[rows]])
        assert len(rows) > 100
        assert np.median(moved) > 1
        assert (moved > -1e-6).mean() > 0.85


def test_who_approaches_comes_nearer_and_who_leaves_does_not():
    samples = depth.EVENTS.of(1200).load()
    nearest_m = np.where(samples.x > 0, samples.x, np.inf).min(-1)
    both = np.isfinite(nearest_m[:, [0, -1]]).all(1)
    seen_m = np.where(both[:, None], nearest_m, 0)
    step_m = seen_m[:, -1] - seen_m[:, 0]
    assert np.median(step_m[(samples.target == depth.APPROACHING) & both]) < -0.3
    assert np.median(step_m[(samples.target == depth.LEAVING) & both]) > 0.3
    assert abs(np.median(step_m[(samples.target == depth.NEAR) & both])) < 0.05


def test_dark_and_far_targets_give_no_distance(random):
    rays_m = np.full((200, 1, 64, 9), 3.0, np.float32)
    white, black = (depth.measured(random, rays_m, np.full_like(rays_m, share)) for share in (0.88, 0.1))
    assert (white > 0).mean() > 0.5
    assert (black > 0).mean() < 0.01
    assert white[white > 0].mean() == pytest.approx(3.0, rel=0.02)


def test_the_depth_of_a_picture_is_that_of_its_cells():
    ramp = np.arange(768, dtype=np.float32).reshape(1, 768)
    cells = camera.cells(ramp).reshape(6, 8)
    assert cells[0, 0] == np.mean([32 * row + column for row in range(4) for column in range(4)])
    assert cells[0, 1] - cells[0, 0] == 4
    assert cells[1, 0] - cells[0, 0] == 128
    samples = camera.DEPTH_MAP.of(100).load()
    assert (samples.x >= 0).all()
    assert (samples.x <= 1).all()
    assert (samples.target > 0).all()
    assert samples.target.max() <= scenes.LARGEST_DIAGONAL_M


def test_light_falls_off_and_does_not_reach_what_turns_away():
    paint = camera.Paint(np.zeros((1, 1, 3)), np.zeros((1, 1, 3)), np.array([[0.0, 0.0, 2.0]], np.float32))
    points_m = np.array([[[0, 0, 0], [3, 0, 0], [0, 0, 0]]], np.float32)
    facing = np.array([[[0, 0, 1], [0, 0, 1], [0, 0, -1]]], np.float32)
    below, aside, away = camera.shine(paint, points_m, facing)[0]
    assert below > aside > away
    assert away == pytest.approx(camera.AMBIENT)


def test_who_moves_left_in_a_film_moves_to_lower_columns(random):
    n = 200
    label = np.arange(n) % len(video.LABELS)
    way = video.path(random, label, np.full(n, 5.0, np.float32), np.full(n, 1.3, np.float32))
    column = way.right_m / way.ahead_m
    moved = column[:, -1] - column[:, 0]
    assert (moved[label == video.LEFT] < 0).all()
    assert (moved[label == video.RIGHT] > 0).all()
    towards = way.ahead_m[:, -1] - way.ahead_m[:, 0]
    assert (towards[label == video.APPROACHING] < -0.3).all()
    assert (towards[label == video.LEAVING] > 0.3).all()
    assert np.abs(towards[label == video.STILL]).max() < 0.06


# Gaze


def looking_at(target_cm: np.ndarray, kappa_deg: float = 0.0) -> tuple[gaze.Face, gaze.Head]:
    n = len(target_cm)
    face = gaze.people(np.random.default_rng(1), 1)[np.zeros(n, np.int64)]
    kappa = np.zeros_like(face.kappa_rad)
    kappa[..., 0] = np.radians(kappa_deg)
    zero = np.zeros(n, np.float32)
    head = gaze.Head(gaze.rotation(zero, zero, zero), np.tile(np.array([0, -5, 33], np.float32), (n, 1)))
    return replace(face, kappa_rad=kappa), head


def test_without_kappa_eye_pupil_and_target_lie_on_a_line():
    target_cm = np.array([[3.0, -10.0, 0.0], [-2.0, -1.0, 0.0]], np.float32)
    face, head = looking_at(target_cm)
    eyes, pupils = head.place(face.eyes_cm), gaze.pupils(face, head, target_cm)
    outwards = pupils - eyes
    assert np.linalg.norm(outwards, axis=-1) == pytest.approx(gaze.PUPIL_CM, abs=1e-4)
    assert np.allclose(np.cross(outwards, target_cm[:, None] - eyes), 0, atol=1e-4)
    assert (pupils[..., 2] < eyes[..., 2]).all()  # towards the phone


def test_kappa_turns_the_eye_by_its_angle():
    target_cm = np.array([[0.0, -5.0, 0.0]], np.float32)
    straight, turned = (
        gaze.pupils(*looking_at(target_cm, kappa), target_cm)
        - looking_at(target_cm)[1].place(looking_at(target_cm)[0].eyes_cm)
        for kappa in (0.0, 5.0)
    )
    cosine = (straight * turned).sum(-1) / gaze.PUPIL_CM**2
    assert np.degrees(np.arccos(cosine)) == pytest.approx(5.0, abs=0.05)


def test_looking_right_and_up_moves_the_pupils_there():
    target_cm = np.array([[-3, -8, 0], [3, -8, 0], [0, -14, 0], [0, -1, 0]], np.float32)
    x = gaze.features(*looking_at(target_cm), target_cm)
    name = {channel: i for i, channel in enumerate(gaze.CHANNELS)}
    for side in ("left", "right"):
        assert x[1, name[f"{side}_pupil_x"]] > x[0, name[f"{side}_pupil_x"]] + 0.003
        assert x[3, name[f"{side}_pupil_y"]] > x[2, name[f"{side}_pupil_y"]] + 0.003
    assert x[0, name["left_outer_x"]] < x[0, name["left_inner_x"]] < x[0, name["right_inner_x"]]
    assert np.ptp(x[:, name["face_width"]]) == 0  # the head did not move


def test_gaze_is_read_from_unseen_people_better_than_the_middle_of_the_screen():
    samples = gaze.PHONE.of(6000).load()
    fold = gaze.PHONE.shipped(samples)
    x = np.column_stack([samples.x[:, 0], np.ones(len(samples))])
    fit = np.linalg.lstsq(x[fold.train], samples.target[fold.train], rcond=None)[0]
    error, floor = (
        np.linalg.norm(guess - samples.target[fold.test], axis=1).mean()
        for guess in (x[fold.test] @ fit, samples.target[fold.train].mean(0))
    )
    assert 0.5 < error < 0.7 * floor  # kappa is a person's own, so nobody is read exactly
    assert np.abs(samples.target[:, 0]).max() <= gaze.SCREEN_CM[0] / 2
    assert samples.target[:, 1].max() <= -gaze.UNDER_CAMERA_CM


# Touch and ways


def test_a_contact_fills_its_ellipse_and_falls_off_beside_it():
    at_mm, half_mm = np.array([[55.0, 31.0]], np.float32), np.array([[8.0, 16.0]], np.float32)
    share, turned = (
        touch.contact(at_mm, half_mm, np.full(1, angle, np.float32))[0] for angle in (0, np.pi / 2)
    )
    assert share.max() > 0.95
    assert share[0].max() < 0.01
    touched = share > 0.5
    assert touched.sum() * touch.PITCH_MM**2 == pytest.approx(np.pi * 8 * 16, rel=0.15)
    assert touched.any(1).sum() > 1.5 * touched.any(0).sum()  # longer along the finger than across
    assert (turned > 0.5).any(0).sum() > (turned > 0.5).any(1).sum()


def test_palms_cover_more_than_thumbs_and_thumbs_more_than_fingers():
    samples = touch.CONTACTS.of(800).load()
    covered = (samples.x > 60).sum((1, 2))
    finger, thumb, two, palm = (np.median(covered[samples.target == label]) for label in range(4))
    assert finger < thumb < palm
    assert finger < two < palm
    assert samples.x.max() < 300


def test_a_driver_keeps_to_what_a_car_can_do(random):
    label = np.full(500, gps.DRIVING)
    true_m = gps.way(random, label).astype(np.float64)
    speed = np.linalg.norm(np.diff(true_m, axis=1), axis=-1)
    assert speed.max() <= gps.MOST_M_S + 0.01
    change = np.diff(speed, axis=1)
    assert change.min() >= -gps.BRAKES_M_S2 - 0.01
    assert change.max() <= gps.PULLS_M_S2 + 0.01
    assert (speed < 0.1).any(1).mean() > 0.1  # some wait at a light
    walked = np.linalg.norm(np.diff(gps.way(random, np.full(500, gps.WALKING)), axis=1), axis=-1)
    assert walked.max() < 3.0


def test_a_receiver_wanders_about_where_it_stands(random):
    n = 3000
    one = np.ones(n, np.float32)
    error = gps.received(random, np.zeros((n, gps.POINTS, 2), np.float32), 3 * one, 0.5 * one)
    usual = np.abs(error).max((1, 2)) < 15  # without the jumps
    assert error[usual].std() == pytest.approx(3.04, rel=0.1)
    neighbours = np.corrcoef(error[usual, 5, 0], error[usual, 6, 0])[0, 1]
    assert neighbours == pytest.approx(np.exp(-5 / 60), abs=0.1)
    assert 0.02 < (~usual).mean() < 0.3
