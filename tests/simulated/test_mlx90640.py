"""The MLX90640 under the contract of every chip, and what is its own: a chess board and much arithmetic.

The worked example is that of the data sheet, 3901090640 rev. 12, 11.2.2, for pixel (12, 16). The sheet slips
once: its signal of the compensation pixel (11.2.2.6.2) does not follow from its own numbers, which give
25.667 and not 21.632, so that the temperature that they lead to is 0.2 K below the one it prints.
"""

from __future__ import annotations

import numpy as np
import pytest
from contracts.chip import Bench, ChipContract

from edge_agent.errors import SensorError
from edge_agent.sensors.i2c import mlx90640
from edge_agent.sensors.i2c import mlx90640_calibration as arithmetic
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.simulated_chips.chip import SimulatedAdapter
from edge_agent.sensors.simulated_chips.mlx90640 import Factory, SimulatedMlx90640
from edge_agent.sensors.simulated_chips.world import steady
from edge_agent.types import SensorState

SCENE = (*np.linspace(-20.0, 250.0, 768).tolist(), 27.3)
ONE_BIT_C = 0.2
"""What the last bit of a pixel is worth where the lens is darkest and the object coldest, or less."""
EXAMPLE_EEPROM = """
    4210 ffbb 0202 f202 f2f2 e2e2 d1e1 b1d1  f10f f00f e0ef e0ef e1e1 f3f2 f404 e504
    79a6 2f44 ffdd 2210 3333 2233 ef01 9acc  eedc 10ff 2221 3333 2333 0112 eeff bbdd
    18ef 2ff1 5952 9d68 5454 0994 6956 5354  2363 e446 fbb5 044b f020 9797 9797 2889
"""
EXAMPLE_PIXEL = 11 * 32 + 15


class TestContract(ChipContract):
    chip = "mlx90640"
    steady = SCENE
    tolerance = (ONE_BIT_C,) * 768 + (0.01,)


@pytest.fixture
def example():
    """The calibration of the worked example; every pixel has the word of its pixel (12, 16)."""
    eeprom = np.full(832, 0x08A0, np.uint16)
    eeprom[0x10:0x40] = [int(word, 16) for word in EXAMPLE_EEPROM.split()]
    return arithmetic.restored(eeprom)


@pytest.fixture
def example_ram():
    ram = np.full(832, 0x0261, np.uint16)
    for address, word in ((0x0700, 0x4BF2), (0x0708, 0xFFCA), (0x070A, 0x1881)):
        ram[address - 0x0400] = word
    for address, word in ((0x0720, 0x06AF), (0x0728, 0xFFC8), (0x072A, 0xCCC5)):
        ram[address - 0x0400] = word
    return ram


def test_worked_example_of_the_data_sheet_what_the_eeprom_holds(example):
    pixel = EXAMPLE_PIXEL
    assert (example.kv_dd, example.v_dd_25, example.resolution) == (-3168, -13056, 2)
    assert (example.kv_ptat, example.kt_ptat) == (0.00537109375, 42.25)
    assert (example.v_ptat_25, example.alpha_ptat, example.gain) == (12273, 9, 6383)
    assert (example.offset[pixel], example.kta[pixel], example.kv[pixel]) == (-75, 0.005126953125, 0.5)
    assert example.alpha[pixel] == pytest.approx(1.262233122690854e-7, rel=1e-8)
    assert (example.cp_offset, example.cp_kta, example.cp_kv) == ((-75, -77), 0.00457763671875, 0.5)
    assert example.cp_alpha == pytest.approx((4.07453626394272e-9, 3.851710062200835e-9), rel=1e-9)
    assert (example.ks_ta, example.tgc, example.ks_to[1]) == (-0.001953125, 1, -0.00080108642578125)
    assert example.corners_c == (-40, 0, 160, 320)


def test_worked_example_of_the_data_sheet_what_the_chip_says_of_itself(example, example_ram):
    at = arithmetic.conditions(example, example_ram, resolution=2)
    assert at.supply_v == pytest.approx(3.3186, abs=5e-5)
    assert at.ambient_c == pytest.approx(39.18440152, abs=5e-5)
    assert at.gain == pytest.approx(1.01753546947234, rel=1e-12)


def test_worked_example_of_the_data_sheet_from_words_to_a_temperature(example, example_ram):
    at = arithmetic.conditions(example, example_ram, resolution=2)
    signal = arithmetic.infrared(example, example_ram, at, 0, emissivity=1.0)
    assert signal[EXAMPLE_PIXEL] + 25.66665750599561 == pytest.approx(700.882495690866, rel=1e-9)
    alpha = arithmetic.sensitivity(example, at.ambient_c, 0)
    assert alpha[EXAMPLE_PIXEL] == pytest.approx(1.1876487360496e-7, rel=2e-6)
    behind = arithmetic.background(39.184, 31.0, 1.0)
    assert behind == pytest.approx(9516495632.56, rel=1e-9)
    found = arithmetic.basic_temperatures(signal, alpha, behind, example.ks_to[1])[EXAMPLE_PIXEL]
    assert found == pytest.approx(80.36331, abs=0.22)


def test_worked_example_of_the_data_sheet_its_last_formula_on_its_own_numbers(example):
    signal, alpha = np.array([679.250909123826]), np.array([1.1876487360496e-7])
    found = arithmetic.basic_temperatures(signal, alpha, 9516495632.56, example.ks_to[1])
    assert found[0] == pytest.approx(80.36331, abs=5e-6)


def test_the_supply_is_right_whatever_the_resolution(example, example_ram):
    coarse = example_ram.copy()
    coarse[arithmetic.VDD] = (-13115 // 2) & 0xFFFF
    of_both = [arithmetic.conditions(example, ram, bits) for ram, bits in ((example_ram, 2), (coarse, 1))]
    assert of_both[0].supply_v == pytest.approx(of_both[1].supply_v, abs=1e-3)


@pytest.mark.parametrize("own_c", [-20.0, 25.0, 70.0])
def test_every_range_of_object_temperature_comes_back(own_c):
    scene = (*np.linspace(-35.0, 450.0, 768).tolist(), own_c)
    found = Bench("mlx90640", steady(*scene)).take(1)[0].values[0]
    np.testing.assert_allclose(found[:768], scene[:768], atol=2 * ONE_BIT_C)
    assert found[768] == pytest.approx(own_c, abs=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_what_the_factory_burnt_is_what_is_restored(seed):
    factory = Factory(np.random.default_rng(seed))
    calibration = arithmetic.restored(factory.eeprom)
    for name in ("offset", "alpha", "kta", "kv"):
        np.testing.assert_allclose(
            getattr(calibration, name), getattr(factory, name), rtol=1e-12, err_msg=name
        )
        assert len(np.unique(getattr(factory, name))) > 3
    assert not calibration.deviating.any()


@pytest.mark.parametrize("seed", range(5))
def test_any_calibration_is_undone(seed):
    bench = Bench("mlx90640", steady(*SCENE))
    bench.adapter.chips[bench.address] = SimulatedMlx90640(bench.clock, steady(*SCENE), seed)
    np.testing.assert_allclose(bench.take(1)[0].values[0], SCENE, atol=ONE_BIT_C)


def test_a_pixel_that_failed_and_an_outlier_are_nan_and_no_other():
    bench = Bench("mlx90640", steady(*SCENE))
    bench.simulated.factory.eeprom[0x40 + 100] = 0
    bench.simulated.factory.eeprom[0x40 + 301] |= 1
    found = bench.take(1)[0].values[0]
    assert np.flatnonzero(np.isnan(found)).tolist() == [100, 301]


def started(bench: Bench, rate_hz: float | None = None):
    driver = bench.chip.make(bench.bus, bench.address, rate_hz, bench.clock.advance)
    driver.start()
    return driver


def test_a_frame_is_two_subpages_one_for_each_colour_of_the_chess_board():
    bench = Bench("mlx90640", lambda seconds: np.full(769, 20 + 10 * seconds, np.float32))
    driver = started(bench, rate_hz=2.0)
    assert driver.read() is None, "nothing was measured yet"
    bench.clock.advance(0.26)
    assert driver.read() is None, "half of a frame"
    assert driver.read() is None, "nothing new"
    bench.clock.advance(0.25)
    board = driver.read().values[0, :768].reshape(24, 32)
    white, black = board[0, 0], board[0, 1]
    assert black - white == pytest.approx(2.5, abs=2 * ONE_BIT_C)
    np.testing.assert_allclose(board[::2, ::2], white, atol=2 * ONE_BIT_C)
    np.testing.assert_allclose(board[1::2, ::2], black, atol=2 * ONE_BIT_C)


@pytest.mark.parametrize(
    ("asked_hz", "given_hz"), [(None, 2), (0.1, 0.25), (1.1, 1), (3, 4), (8, 8), (100, 8)]
)
def test_the_nearest_rate_is_set(asked_hz, given_hz):
    bench = Bench("mlx90640", steady(*SCENE))
    driver = started(bench, asked_hz)
    assert driver.rate_hz == given_hz
    subpages_hz = 0.5 * 2 ** (bench.simulated.registers[mlx90640.CONTROL] >> 7 & 0x7)
    assert subpages_hz == 2 * given_hz


class SlowAdapter(SimulatedAdapter):
    """A bus on which bytes take their time: nine clocks each."""

    def __init__(self, bench: Bench, clock_hz: float) -> None:
        super().__init__(bench.adapter.chips)
        self.clock, self.clock_hz = bench.clock, clock_hz

    def i2c_rdwr(self, *messages):
        super().i2c_rdwr(*messages)
        self.clock.advance(sum(message.len for message in messages) * 9 / self.clock_hz)


def on_a_slow_bus(clock_hz: float) -> tuple[Bench, SlowAdapter]:
    bench = Bench("mlx90640", steady(*SCENE))
    adapter = SlowAdapter(bench, clock_hz)
    bench.bus = I2CBus("/dev/i2c-9", adapter.open, pause=bench.clock.advance)
    return bench, adapter


def test_what_was_overwritten_while_it_was_read_is_not_taken():
    bench, _ = on_a_slow_bus(100_000)
    driver = started(bench, rate_hz=8.0)
    with pytest.raises(SensorError, match="measured anew") as caught:
        [driver.read() for _ in range(1000)]
    assert "400 kHz" in caught.value.hint


def test_the_usual_rate_fits_the_usual_bus():
    bench, _ = on_a_slow_bus(100_000)
    assert len(bench.take(10)) == 10
    assert bench.sensor.health.state is SensorState.ONLINE
    assert (bench.sensor.health.lost, bench.sensor.health.errors) == (0, 0)


def test_a_frame_that_was_lost_is_counted():
    bench, adapter = on_a_slow_bus(1e9)
    driver = started(bench, rate_hz=2.0)
    bench.clock.advance(0.26)
    adapter.clock_hz = 50_000
    with pytest.raises(SensorError):
        driver.read()
    adapter.clock_hz = 1e9
    assert driver.read() is None, "the other half"
    bench.clock.advance(0.25)
    assert driver.read().lost == 1


def test_one_with_another_address_in_its_eeprom_and_its_relative_are_refused():
    bench = Bench("mlx90640", steady(*SCENE))
    assert bench.chip.identify(bench.bus, bench.address)
    bench.simulated.factory.eeprom[0x0A] |= mlx90640.IS_MLX90641
    assert not bench.chip.identify(bench.bus, bench.address)
    bench.simulated.factory.eeprom[0x0A] &= ~mlx90640.IS_MLX90641 & 0xFFFF
    bench.simulated.factory.eeprom[0x0F] = 0xBE34
    with pytest.raises(SensorError, match="does not name that address"):
        started(bench)
