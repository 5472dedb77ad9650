"""The I2C bus on the simulated adapter: what it retries, what it gives up, when it opens anew."""

from __future__ import annotations

import errno
import threading

import pytest
import smbus2
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.clock import ManualClock
from edge_agent.errors import ConfigurationError, SensorError
from edge_agent.sensors.i2c import bus as buses
from edge_agent.sensors.i2c.bus import I2CBus, bus_path
from edge_agent.sensors.i2c.driver import Registers
from edge_agent.sensors.simulated_chips.chip import RegisterChip, SimulatedAdapter

ADDRESS = 0x40


@pytest.fixture
def adapter():
    return SimulatedAdapter({ADDRESS: RegisterChip(ManualClock().monotonic_ns, {0x10: 0xAB, 0x11: 0xCD})})


@pytest.fixture
def bus(adapter):
    return I2CBus("/dev/i2c-9", adapter.open, pause=lambda _seconds: None)


def test_a_register_is_written_and_read_back(bus):
    chip = Registers(bus, ADDRESS)
    assert chip.read(0x10, 2) == b"\xab\xcd"
    chip.write(0x20, 1, 2, 3)
    assert chip.read(0x20, 3) == b"\x01\x02\x03"
    chip.update(0x20, 0xF0, 0x50)
    assert chip.read_u8(0x20) == 0x51


@given(register=st.integers(0, 0xFFFF), data=st.binary(min_size=1, max_size=64))
def test_sixteen_bit_registers_keep_what_is_written(register, data):
    chip = RegisterChip(ManualClock().monotonic_ns)
    chip.index_bytes = 2
    registers = Registers(I2CBus("x", SimulatedAdapter({ADDRESS: chip}).open), ADDRESS, index_bytes=2)
    registers.write(register, *data)
    assert registers.read(register, len(data)) == data


def test_three_errors_are_those_of_a_flaky_wire():
    """No acknowledgement, a bus error, arbitration lost (Documentation/i2c/fault-codes.rst)."""
    assert {errno.EREMOTEIO, errno.EIO, errno.EAGAIN} == buses.FLAKY


@pytest.mark.parametrize("number", sorted(buses.FLAKY))
def test_a_flaky_exchange_is_repeated_and_counted(bus, adapter, number):
    adapter.fail_next = [number, number]
    assert Registers(bus, ADDRESS).read_u8(0x10) == 0xAB
    assert (bus.counters.retries, bus.counters.failures) == (2, 0)


def test_one_that_goes_on_failing_is_given_up_with_the_kernels_errno(bus, adapter):
    adapter.fail_next = [errno.EIO] * 3
    with pytest.raises(OSError) as caught:
        bus.read(ADDRESS, 1)
    assert caught.value.errno == errno.EIO
    assert (bus.counters.retries, bus.counters.failures) == (2, 1)
    assert bus.read(ADDRESS, 1) == b"\0"


@pytest.mark.parametrize("number", sorted(set(errno.errorcode) - buses.FLAKY))
def test_an_error_that_is_no_loose_wire_is_not_repeated(bus, adapter, number):
    adapter.fail_next = [number]
    with pytest.raises(OSError):
        bus.read(ADDRESS, 1)
    assert bus.counters.retries == 0


def test_after_repeated_failure_the_bus_is_opened_again(bus, adapter):
    for _ in range(buses.REOPEN_AFTER):
        with pytest.raises(OSError):
            bus.read(0x41, 1)
    assert bus.counters.reopened == 1
    bus.read(ADDRESS, 1)
    assert adapter.opened == 2


def test_failures_count_only_in_a_row(bus, adapter):
    for _ in range(2 * buses.REOPEN_AFTER):
        with pytest.raises(OSError):
            bus.read(0x41, 1)
        bus.read(ADDRESS, 1)
    assert bus.counters.failures == 2 * buses.REOPEN_AFTER
    assert (bus.counters.reopened, adapter.opened) == (0, 1)


def test_a_stuck_bus_is_named_and_opened_again(bus, adapter):
    bus.read(ADDRESS, 1)
    adapter.stuck = True
    with pytest.raises(SensorError, match="stuck") as caught:
        bus.read(ADDRESS, 1)
    assert caught.value.errno == errno.ETIMEDOUT
    adapter.stuck = False
    bus.read(ADDRESS, 1)
    assert adapter.opened == 2


def test_a_bus_that_was_unplugged_is_named_and_opened_anew_and_its_dead_file_is_closed(bus, adapter):
    bus.read(ADDRESS, 1)
    adapter.unplug()
    with pytest.raises(OSError) as caught:
        bus.read(ADDRESS, 1)
    assert caught.value.errno == errno.ENODEV
    for _ in range(buses.REOPEN_AFTER):
        with pytest.raises(OSError):
            bus.read(ADDRESS, 1)
    with pytest.raises(SensorError, match="there is no I2C bus"):
        bus.read(ADDRESS, 1)
    assert adapter.files == 0
    adapter.plug()
    assert bus.read(ADDRESS, 1) == b"\0"
    assert adapter.files == 1
    bus.close()
    assert adapter.files == 0


def test_a_scan_finds_the_chips_and_nothing_else(bus, adapter):
    adapter.chips[0x77] = RegisterChip(ManualClock().monotonic_ns)
    assert bus.scan() == [ADDRESS, 0x77]


def test_a_chip_that_the_kernel_has_claimed_is_there(bus, adapter):
    adapter.fail_next = [errno.EBUSY]
    assert bus.answers(0x50)


def test_the_real_adapter_says_what_is_missing():
    bus = I2CBus("/dev/i2c-250")
    with pytest.raises(SensorError, match="no I2C bus /dev/i2c-250") as caught:
        bus.read(ADDRESS, 1)
    assert "raspi-config" in caught.value.hint


def test_the_messages_are_those_of_smbus2(bus, adapter):
    """What the simulated adapter takes is what the kernel gets: i2c_msg with address, flags and length."""
    seen = []

    class Watching(SimulatedAdapter):
        def i2c_rdwr(self, *messages):
            seen.extend((m.addr, m.flags, m.len) for m in messages)
            super().i2c_rdwr(*messages)

    I2CBus("x", Watching(adapter.chips).open).write_read(ADDRESS, b"\x10", 2)
    assert seen == [(ADDRESS, 0, 1), (ADDRESS, 1, 2)]
    assert hasattr(smbus2.SMBus, "i2c_rdwr")


def test_two_threads_never_interleave_their_exchanges(adapter):
    inside, overlaps = [], []

    class Slow(SimulatedAdapter):
        def i2c_rdwr(self, *messages):
            inside.append(1)
            threading.Event().wait(0.001)  # another thread would come in meanwhile
            overlaps.append(len(inside))
            super().i2c_rdwr(*messages)
            inside.pop()

    bus = I2CBus("x", Slow(adapter.chips).open)
    threads = [threading.Thread(target=lambda: [bus.read(ADDRESS, 1) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(overlaps) == 1
    assert bus.counters.exchanges == 80


@pytest.mark.parametrize(("given_bus", "path"), [(1, "/dev/i2c-1"), ("/dev/i2c-20", "/dev/i2c-20")])
def test_how_a_bus_is_named(given_bus, path):
    assert bus_path(given_bus) == path


def test_a_bus_that_is_no_path_is_refused():
    with pytest.raises(ConfigurationError, match="i2c-1"):
        bus_path("i2c-1")
