"""Windows and the resampling below them: the same stream gives the same windows, however it arrives."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.buffer import SampleBuffer
from edge_agent.clock import NS_PER_S
from edge_agent.manifest import Slot
from edge_agent.resampling import MAX_GAP_S, resample_to_grid
from edge_agent.types import Chunk
from edge_agent.windows import MAX_BACKLOG, Windows

S = NS_PER_S
MS = 1_000_000


def slot(name: str, modality: str = "imu", channels: int = 2, rate_hz: float = 100.0, window_s: float = 1.0):
    return Slot(
        name=name, modality=modality, placement="wrist", encoder=f"{name}.onnx",
        features="log_mel" if modality == "audio" else "raw",
        channels=tuple(f"c{i}" for i in range(channels)), units=("",) * channels, rate_hz=rate_hz,
        window_s=window_s, n_tokens=4, heads=(), description=name,
    )  # fmt: skip


IMU = slot("imu")
AUDIO = slot("audio", "audio", channels=1, rate_hz=16_000.0, window_s=2.0)


def smooth(times_ns):
    """A signal well below half the grid's rate, so that interpolation must follow it closely."""
    t = times_ns / S
    return np.stack([np.sin(2 * np.pi * 1.5 * t), np.cos(2 * np.pi * 0.7 * t)], 1).astype(np.float32)


def jittery(seconds: float, rate_hz: float = 100.0, start_ns: int = 0, seed: int = 0):
    rng = np.random.default_rng(seed)
    n = int(seconds * rate_hz)
    ticks = np.arange(n) * (S / rate_hz) + rng.uniform(-0.3, 0.3, n) * S / rate_hz
    return np.sort(ticks).astype(np.int64) + start_ns


def run(windows: Windows, chunks, now_ns):
    for chunk in chunks:
        windows.push(chunk)
    return list(windows.ready(now_ns))


def split(times_ns, values, cuts, sensor="imu"):
    edges = [0, *sorted(cuts), len(times_ns)]
    return [Chunk(sensor, times_ns[a:b], values[a:b]) for a, b in itertools.pairwise(edges)]


def imu_windows(hop_s=0.5):
    return Windows([IMU], {"imu": "imu"}, hop_s=hop_s)


def test_a_jittery_stream_becomes_the_signal_on_the_grid():
    times = jittery(3.0)
    windows = run(imu_windows(), [Chunk("imu", times, smooth(times))], 3 * S)
    window = windows[-1]
    assert window.end_ns == 2_500 * MS
    grid_ns = window.end_ns - np.arange(99, -1, -1) * 10 * MS
    assert window.slots["imu"].values.shape == (100, 2)
    assert window.slots["imu"].values.dtype == np.float32
    np.testing.assert_allclose(window.slots["imu"].values, smooth(grid_ns), atol=0.01)
    assert window.slots["imu"].coverage == 1.0


def test_resampling_equals_linear_interpolation_of_the_whole_recording():
    """What training may rely on: numpy's own interpolation, whatever part of the recording is given."""
    times = jittery(5.0, seed=3) + 1_657_533_977_813 * MS
    times[200:204] = times[200]  # a burst with one time stamp, as phones deliver it
    values = np.random.default_rng(1).normal(size=(len(times), 6)).astype(np.float32)
    end = int(times[0]) + 3 * S
    grid = resample_to_grid(times, values, end, 100.0, 100)
    points = (np.arange(-99, 1) * 10 * MS + end - times[0]).astype(float)
    expected = np.stack([np.interp(points, times - times[0], values[:, c]) for c in range(6)], 1)
    np.testing.assert_allclose(grid.values, expected, atol=2e-5)
    part = slice(150, 360)
    np.testing.assert_array_equal(
        resample_to_grid(times[part], values[part], end, 100.0, 100).values, grid.values
    )


@settings(max_examples=30, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 400), max_size=30),
    seed=st.integers(0, 5),
    gap=st.tuples(st.integers(0, 399), st.integers(0, 120)),
)
def test_any_chunking_gives_the_same_windows(cuts, seed, gap):
    times = jittery(4.0, seed=seed)
    keep = np.ones(len(times), bool)
    keep[gap[0] : gap[0] + gap[1]] = False
    times = times[keep]
    values = smooth(times)
    whole, parts = imu_windows(), imu_windows()
    assert whole.next_ready_ns == 0
    first = run(whole, [Chunk("imu", times, values)], 4 * S)
    second = run(parts, split(times, values, [c for c in cuts if c <= len(times)]), 4 * S)
    assert [w.end_ns for w in first] == [w.end_ns for w in second] != []
    for a, b in zip(first, second, strict=True):
        assert (set(a.slots), dict(a.stale)) == (set(b.slots), dict(b.stale))
        for name in a.slots:
            np.testing.assert_array_equal(a.slots[name].values, b.slots[name].values)
            assert a.slots[name].coverage == b.slots[name].coverage
            assert a.slots[name].age_s == b.slots[name].age_s
    a, b = whole.stats()["imu"], parts.stats()["imu"]
    assert a == b


@settings(max_examples=8, deadline=None)
@given(
    every_ms=st.integers(100, 700),
    chunk=st.integers(800, 16_000),
    hole=st.just(0) | st.integers(200, 20_000),  # less than 10 ms is taken for jitter, not for a hole
)
def test_sound_is_the_same_however_chunked_and_polled(every_ms, chunk, hole):
    n = 5 * 16_000
    times = (np.arange(n) * 62_500).astype(np.int64)
    values = np.arange(1, n + 1, dtype=np.float32)[:, None]
    keep = np.ones(n, bool)
    keep[20_000 : 20_000 + hole] = False
    times, values = times[keep], values[keep]
    windows = Windows([AUDIO], {"mic": "audio"}, min_coverage=0.01)
    got, sent = [], 0
    list(windows.ready(0))
    for now_ns in range(0, 5 * S, every_ms * MS):
        while sent < len(times) and times[min(sent + chunk, len(times)) - 1] <= now_ns:
            windows.push(Chunk("mic", times[sent : sent + chunk], values[sent : sent + chunk]))
            sent += chunk
        # A source that gathers whole chunks is late by one of them; the clock waits for it here.
        seen_ns = int(times[sent - 1]) if sent else 0
        got += list(windows.ready(min(now_ns, seen_ns)))
    assert len(got) > 2
    for window in got:
        if "audio" not in window.slots:
            continue
        grid_ns = window.end_ns - np.arange(31_999, -1, -1, dtype=np.int64) * 62_500
        expected = np.where(np.isin(grid_ns, times), grid_ns // 62_500 + 1, 0)
        np.testing.assert_array_equal(window.slots["audio"].values[:, 0], expected)
        assert window.slots["audio"].coverage == pytest.approx(np.mean(expected > 0))


def test_drift_of_the_sound_card_does_not_tear_a_window():
    """100 ppm fast and chunk times that jump by a millisecond: all samples still stand side by side."""
    windows = Windows([AUDIO], {"mic": "audio"})
    sample = 0
    for k in range(60):
        start_ns = round(k * 0.05 * S * 1.0001) + (k % 2) * MS
        times = start_ns + np.arange(800, dtype=np.int64) * 62_500
        values = np.arange(sample, sample + 800, dtype=np.float32)[:, None]
        windows.push(Chunk("mic", np.maximum.accumulate(times), values))
        sample += 800
    stats = windows.stats()["audio"]
    assert stats.gaps == 0
    (window,) = windows.ready(int(2.7 * S))
    samples = window.slots["audio"].values[:, 0]
    steps = np.diff(samples)
    assert window.slots["audio"].coverage == 1.0
    assert (steps >= 1).all()
    assert np.count_nonzero(steps != 1) <= stats.late + 1


def test_a_gap_uncovers_and_a_large_one_makes_the_slot_stale():
    times = jittery(3.0)
    for missing, usable in ((0.15, True), (0.5, False)):
        kept = times[(times < 2 * S) | (times > (2 + missing) * S)]
        windows = imu_windows()
        (window,) = run(windows, [Chunk("imu", kept, smooth(kept))], int(2.9 * S))
        assert ("imu" in window.slots) is usable
        coverage = window.slots["imu"].coverage if usable else window.stale["imu"]
        assert coverage == pytest.approx(1 - (missing - MAX_GAP_S), abs=0.03)
        assert windows.stats()["imu"].gaps == 1


def test_a_slot_that_never_spoke_is_stale_and_one_without_sensor_is_not_mentioned():
    windows = Windows([IMU, AUDIO], {"imu": "imu"})
    (window,) = windows.ready(10 * S)
    assert dict(window.slots) == {}
    assert dict(window.stale) == {"imu": 0.0}


def test_missing_channels_are_filled_and_marked():
    times = jittery(2.0)
    values = smooth(times)
    values[:, 1] = np.nan
    values[50, 0] = np.nan
    (window,) = run(imu_windows(), [Chunk("imu", times, values)], int(1.7 * S))
    got = window.slots["imu"]
    assert got.missing_channels.tolist() == [False, True]
    assert got.missing_of(("x", "y")) == ("y",)
    assert np.isfinite(got.values).all()
    np.testing.assert_array_equal(got.values[:, 1], 0)
    (window,) = run(imu_windows(), [Chunk("imu", times, np.full_like(values, np.nan))], int(1.7 * S))
    assert dict(window.stale) == {"imu": 0.0}


def test_a_channel_is_missing_only_in_the_windows_that_lack_most_of_it():
    times, marks = jittery(6.0), []
    values = smooth(times)
    values[180:320, 0] = np.nan  # from 1.8 to 3.2 s
    windows = imu_windows()
    for at in range(0, 600, 10):
        windows.push(Chunk("imu", times[at : at + 10], values[at : at + 10]))
        for window in windows.ready(int(times[at + 9])):
            if "imu" in window.slots:
                marks.append((window.end_ns // MS, window.slots["imu"].missing_channels.tolist()[0]))
                assert windows.stats()["imu"].missing_channels == (("c0",) if marks[-1][1] else ())
    assert [end_ms for end_ms, missing in marks if missing] == [2500, 3000, 3500]


def test_sound_that_is_no_number_is_missing():
    times = (np.arange(48_000) * 62_500).astype(np.int64)
    values = np.full((48_000, 1), np.nan, np.float32)
    values[30_000:] = 1
    windows = Windows([AUDIO], {"mic": "audio"}, min_coverage=0.2)
    (window,) = run(windows, [Chunk("mic", times, values)], int(2.2 * S))
    assert window.stale["audio"] == pytest.approx(2_001 / 32_000)
    assert windows.stats()["audio"].missing_channels == ("c0",)


def test_the_offset_of_each_sensor_from_the_window_s_end_is_reported():
    """One sensor between two grid points, one whose samples come 400 ms late, one that never spoke."""
    names = ("near", "late", "never")
    windows = Windows([slot(name) for name in names], {name: name for name in names}, hop_s=0.5)
    assert windows.stats()["near"].offset_ms == np.inf
    times = np.arange(0, 3 * S, 10 * MS, dtype=np.int64)
    now_ns = int(2.65 * S)
    for name, moved_ns, delay_ns in (("near", 4 * MS, 20 * MS), ("late", 0, 400 * MS)):
        here = (times + moved_ns)[times + moved_ns + delay_ns <= now_ns]
        windows.push(Chunk(name, here, np.ones((len(here), 2), np.float32)))
    (window,) = windows.ready(now_ns)
    assert window.end_ns == int(2.5 * S)
    stats = windows.stats()
    assert stats["near"].offset_ms == pytest.approx(6)
    assert stats["late"].offset_ms == pytest.approx(250)
    assert stats["never"].offset_ms == np.inf
    assert window.slots["near"].age_s == pytest.approx(0.006)
    assert stats["near"].jitter_ms == stats["late"].jitter_ms == 0


@settings(max_examples=25, deadline=None)
@given(
    at_ms=st.integers(2_200, 2_900),
    phase_ms=st.integers(0, 19),
    sizes=st.tuples(st.integers(1, 40), st.integers(50, 4_000), st.integers(1, 5)),
)
def test_what_several_sensors_saw_at_one_moment_stands_at_one_moment_of_the_window(at_ms, phase_ms, sizes):
    """A jump at one time: an IMU of irregular steps, sound, and a scanner whose turns are held."""
    scan = slot("scan", "lidar", channels=3, rate_hz=10.0).model_copy(update={"sampling": "hold"})
    windows = Windows([IMU, AUDIO, scan], {name: name for name in ("imu", "audio", "scan")}, hop_s=0.5)
    sound = (np.arange(56_000) * 62_500).astype(np.int64)
    turns = np.arange(35, dtype=np.int64) * 100 * MS + phase_ms * MS
    taken = {"imu": jittery(3.5) + phase_ms * MS, "audio": sound, "scan": turns}
    for (name, times), size, channels in zip(taken.items(), sizes, (2, 1, 3), strict=True):
        values = np.repeat((times >= at_ms * MS).astype(np.float32)[:, None], channels, axis=1)
        for low in range(0, len(times), size):
            windows.push(Chunk(name, times[low : low + size], values[low : low + size]))
    (window,) = windows.ready(int(3.2 * S))
    assert window.end_ns == 3 * S
    for name, step_ms, within_steps in (("imu", 10, 1.4), ("audio", 1 / 16, 1), ("scan", 100, 2)):
        values = window.slots[name].values[:, 0]
        moment_ms = 3000 - (len(values) - 1 - int(np.argmax(values > 0.5))) * step_ms
        assert abs(moment_ms - at_ms) <= within_steps * step_ms, name


def test_what_lies_above_half_the_grid_rate_is_filtered_not_folded():
    """80 Hz sampled at 400 Hz would appear as 20 Hz on a 100 Hz grid; 10 Hz must pass unharmed."""
    times = (np.arange(1200) * (S / 400)).astype(np.int64)
    t = times / S
    grid_s = 2.0 - np.arange(99, -1, -1) / 100
    alias = np.sin(2 * np.pi * 80 * t)[:, None].astype(np.float32)
    kept = np.sin(2 * np.pi * 10 * t)[:, None].astype(np.float32)
    assert np.abs(resample_to_grid(times, alias, 2 * S, 100.0, 100).values).max() < 0.01
    got = resample_to_grid(times, kept, 2 * S, 100.0, 100).values[:, 0]
    np.testing.assert_allclose(got, np.sin(2 * np.pi * 10 * grid_s), atol=0.02)


def test_windows_end_at_multiples_of_the_hop_and_come_once():
    windows = imu_windows(hop_s=0.25)
    ends = [w.end_ns for now in range(0, 3 * S, 70 * MS) for w in windows.ready(S + now)]
    assert ends == list(range(ends[0], ends[-1] + 1, S // 4))
    assert ends[0] % (S // 4) == 0
    assert windows.next_ready_ns == ends[-1] + S // 4 + 150 * MS
    assert windows.skipped_windows == 0


def test_after_a_stall_old_windows_are_skipped_and_counted():
    windows = imu_windows()
    list(windows.ready(10 * S))
    made_up = list(windows.ready(110 * S))
    assert len(made_up) == MAX_BACKLOG
    assert windows.skipped_windows == 200 - MAX_BACKLOG
    assert made_up[-1].end_ns == int(109.5 * S)


def test_late_and_overflowing_samples_are_counted_and_memory_is_bounded():
    windows = imu_windows()
    times = jittery(1.0)
    windows.push(Chunk("imu", times, smooth(times)))
    windows.push(Chunk("imu", times[:60], smooth(times[:60])))
    assert windows.stats()["imu"].late == 60
    list(windows.ready(2 * S))
    held = len(windows._tracks["imu"]._buffer)
    for k in range(100):
        more = jittery(1.0, rate_hz=1000.0, start_ns=(k + 2) * S)
        windows.push(Chunk("imu", more, smooth(more)))
    buffer = windows._tracks["imu"]._buffer
    assert held <= len(buffer) == buffer.capacity
    assert windows.stats()["imu"].overflow > 90_000
    assert windows.stats()["imu"].samples == 100 + 100_000


def test_samples_from_the_future_do_not_lock_the_slot():
    windows = imu_windows()
    windows.push(Chunk("imu", np.array([10_000 * S], np.int64), np.zeros((1, 2), np.float32)))
    list(windows.ready(S))
    times = jittery(2.0, start_ns=S)
    windows.push(Chunk("imu", times, smooth(times)))
    *_, window = windows.ready(int(2.9 * S))
    assert "imu" in window.slots
    assert windows.stats()["imu"].clock_resets == 1


def test_a_chunk_of_the_wrong_width_is_rejected_and_counted_and_a_stranger_is_an_error():
    windows = imu_windows()
    windows.push(Chunk("imu", np.zeros(3, np.int64), np.zeros((3, 5), np.float32)))
    assert windows.stats()["imu"].rejected_chunks == 1
    with pytest.raises(KeyError):
        windows.push(Chunk("nobody", np.zeros(1, np.int64), np.zeros((1, 2), np.float32)))
    with pytest.raises(ValueError, match="no such slot"):
        Windows([IMU], {"x": "lidar"})


def test_simulated_samples_mark_their_window_and_no_later_one():
    windows = imu_windows()
    times = jittery(6.0)
    values = smooth(times)
    windows.push(Chunk("imu", times[:200], values[:200], simulated=True))
    (window,) = windows.ready(int(2.2 * S))
    assert window.slots["imu"].simulated
    windows.push(Chunk("imu", times[200:430], values[200:430]))
    marks = [w.slots["imu"].simulated for w in windows.ready(int(4.2 * S))]
    assert marks == [True, False, False, False]


def test_age_and_rate_and_jitter_are_measured():
    windows = imu_windows()
    times = jittery(2.0)
    windows.push(Chunk("imu", times, smooth(times), lost=7))
    (window,) = windows.ready(int(2.2 * S))
    assert window.slots["imu"].age_s == pytest.approx(0.01, abs=0.01)
    stats = windows.stats()["imu"]
    assert stats.rate_hz == pytest.approx(100, rel=0.02)
    assert 0.5 < stats.jitter_ms < 5
    assert stats.age_s == pytest.approx(0.21, abs=0.01)
    assert stats.lost == 7


def test_float64_values_are_kept_exactly_and_a_window_is_float32_all_the_same():
    buffer = SampleBuffer(4, 1)
    buffer.append(np.array([0], np.int64), np.ones((1, 1), np.float32), [])
    for at in (1, 2, 3, 4):
        buffer.append(np.array([at], np.int64), np.array([[179.123456789 + at]]), [])
    assert buffer.since(1, 4)[1][:, 0].tolist() == [179.123456789 + at for at in (1, 2, 3, 4)]
    times = np.arange(200, dtype=np.int64) * 10 * MS
    places = 47.0 + 1e-7 * np.arange(200)[:, None] + [[0.0, 60.0]]
    *_, window = run(imu_windows(), [Chunk("imu", times, places)], int(1.7 * S))
    got = window.slots["imu"].values
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, places[51:151].astype(np.float32))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=60))
def test_the_buffer_holds_exactly_the_newest_samples_and_their_breaks(chunks):
    buffer = SampleBuffer(50, 1)
    all_times: list[int] = []
    all_breaks: list[int] = []
    evicted = 0
    for length, broken in chunks:
        times = np.arange(len(all_times), len(all_times) + length, dtype=np.int64)
        breaks = [length // 2] if broken and length and times[length // 2] > 0 else []
        all_breaks += [len(all_times) + b for b in breaks]
        all_times += times.tolist()
        evicted += len(buffer.append(times, times[:, None].astype(np.float32), breaks))
        got, values, found = buffer.since(-1, 10**9)
        oldest = max(0, len(all_times) - 50)
        assert got.tolist() == all_times[oldest:] == values[:, 0].tolist()
        assert [oldest + b for b in found.tolist()] == [b for b in all_breaks if b > oldest]
        assert evicted == oldest


def test_the_cost_of_a_window_is_small(capsys):
    """Two IMUs and two seconds of sound; a wide bound, the figure itself is printed."""
    slots = [slot("phone", channels=6), slot("watch", channels=6), AUDIO]
    windows = Windows(slots, {s.name: s.name for s in slots}, hop_s=0.1)
    list(windows.ready(0))
    spent_s, made = 0.0, 0
    for k in range(200):
        chunks = []
        for name, rate_hz, channels in (("phone", 100, 6), ("watch", 100, 6), ("audio", 16_000, 1)):
            n = round(rate_hz * 0.05)
            times = k * 50 * MS + (np.arange(n) * (S / rate_hz)).astype(np.int64)
            chunks.append(Chunk(name, times, np.ones((n, channels), np.float32)))
        before = time.perf_counter()
        made += len(run(windows, chunks, (k + 1) * 50 * MS))
        spent_s += time.perf_counter() - before
    with capsys.disabled():
        print(f"\n  windows: {spent_s / made * 1e6:.0f} us for each of {made}, pushes included")
    assert spent_s / made < 0.02


# -- slots that hold their samples ---------------------------------------------------------------------


def slot_of(sampling, rate_hz, steps, channels=2, **more):
    names = tuple(f"c{i}" for i in range(channels))
    return Slot(
        name="held", modality="depth", placement="", encoder="held.onnx", features="raw", sampling=sampling,
        channels=names, units=("m",), rate_hz=rate_hz, window_s=steps / rate_hz, n_tokens=1, heads=(),
        description="the held one", **more,
    )  # fmt: skip


def cut(slot, chunks, end_s, **settings):
    windows = Windows([slot], {"s": "held"}, **settings)
    list(windows.ready(round((end_s - 0.5) * NS_PER_S)))
    for t, values in chunks:
        windows.push(Chunk("s", np.array([round(t * NS_PER_S)]), np.atleast_2d(np.asarray(values))))
    ready = windows.ready(round((end_s + 0.2) * NS_PER_S))
    return next(w for w in ready if w.end_ns == round(end_s * NS_PER_S))


def test_an_image_is_never_mixed_with_the_next_one():
    frames = [(9.1, [1.0, 1.0]), (9.6, [2.0, 2.0]), (10.05, [3.0, 3.0])]
    window = cut(slot_of("hold", 2.0, 2), frames, 10.0)
    assert window.slots["held"].values.tolist() == [[1.0, 1.0], [2.0, 2.0]]
    assert window.slots["held"].coverage == 1.0


def test_an_echo_that_did_not_come_is_zero_and_not_an_older_one():
    frames = [(9.0, [1.0, 5.0]), (9.4, [2.0, np.nan]), (9.9, [3.0, np.nan])]
    held = cut(slot_of("hold", 2.0, 2), frames, 10.0).slots["held"]
    assert held.values.tolist() == [[2.0, 0.0], [3.0, 0.0]]
    assert held.missing_channels.tolist() == [False, True]


def test_chips_that_speak_one_by_one_make_one_sample():
    frames = [(8.0, [21.0, np.nan]), (8.5, [np.nan, 40.0]), (9.2, [22.0, np.nan]), (9.9, [np.nan, 41.0])]
    held = cut(slot_of("latest", 1.0, 2), frames, 10.0).slots["held"]
    assert held.values.tolist() == [[21.0, 40.0], [22.0, 41.0]]
    assert not held.missing_channels.any()


def test_a_chip_that_was_silent_too_long_is_missing():
    frames = [(5.0, [np.nan, 40.0]), (8.8, [21.0, np.nan]), (9.8, [22.0, np.nan])]
    held = cut(slot_of("latest", 1.0, 2), frames, 10.0).slots["held"]
    assert held.values[:, 1].tolist() == [0.0, 0.0]
    assert held.missing_channels.tolist() == [False, True]
    assert held.coverage == 1.0


def test_a_slow_slot_is_not_torn_by_its_own_pace():
    slow = slot_of("latest", 1 / 60, 3)
    frames = [(t, [t, -t]) for t in (30.0, 90.0, 150.0)]
    held = cut(slow, frames, 160.0).slots["held"]
    assert held.values[:, 0].tolist() == [30.0, 90.0, 150.0]
    assert held.coverage == 1.0


def test_a_place_is_held_in_full():
    place = [52.123456789012, 13.987654321098]
    held = cut(slot_of("hold", 1.0, 1), [(9.9, np.array(place, np.float64))], 10.0).slots["held"]
    assert held.values.tolist() == [place]
