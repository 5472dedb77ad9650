/* As much of Arduino's I2C as the examples call, with three chips on it: an MPU-6050 that lies still (1 g
 * upwards), a Grid-EYE whose pixel n has n / 4 degC and its last -1 degC, and an SHT31 in a room of 25 degC and
 * 50 %, of whose answers each third has a wrong checksum. */
#ifndef WIRE_H
#define WIRE_H

#include <stdint.h>

struct HostWire {
    static const uint8_t MPU = 0x68, GRID_EYE = 0x69, SHT = 0x44;
    uint8_t address = 0, chosen = 0, written = 0, next = 0;
    bool awake = false, asked = false;
    int answers = 0;

    void begin() {}
    void setClock(uint32_t) {}
    void beginTransmission(uint8_t to) { address = to, written = 0; }
    void write(uint8_t byte)
    {
        if (written++ == 0) {
            chosen = byte;
        } else if (address == MPU && chosen == 0x6B) { /* PWR_MGMT_1: asleep after power-up (RM-MPU-6000A-00, 4.28) */
            awake = (byte & 0x40) == 0;
        } else if (address == SHT) { /* 2400h: measure once (SHT3x-DIS, table 8) */
            asked = chosen == 0x24 && byte == 0x00;
        }
    }
    uint8_t endTransmission(bool = true) { return known(address) ? 0 : 2; }
    uint8_t requestFrom(uint8_t from, uint8_t size)
    {
        address = from, next = 0;
        if (from == SHT) {
            answers += asked;
            return asked ? size : 0;
        }
        return known(from) ? size : 0;
    }
    int read() { return address == MPU ? motion() : address == GRID_EYE ? pixels() : air(); }

  private:
    static bool known(uint8_t at) { return at == MPU || at == GRID_EYE || at == SHT; }
    int motion()
    {
        uint8_t at = chosen++;
        return awake && at == 0x3F ? 16384 >> 8 : 0; /* ACCEL_ZOUT_H at +-2 g */
    }
    int pixels()
    {
        int at = chosen++ - 0x80, raw = at / 2 == 63 ? 0xFFC : at / 2;
        return at % 2 ? raw >> 8 : raw & 0xFF;
    }
    int air()
    {
        static const uint8_t answer[6] = {0x66, 0x66, 0x93, 0x80, 0x00, 0xa2};
        uint8_t at = next++;
        asked = asked && at < 5;
        return answer[at] ^ (answers % 3 == 0 && at == 2);
    }
};

static HostWire Wire;

#endif
