/* As much of Arduino's I2C as the examples call, with one MPU-6050 on it that lies still: 1 g upwards. */
#ifndef WIRE_H
#define WIRE_H

#include <stdint.h>

struct HostWire {
    uint8_t address = 0, chosen = 0, written = 0;
    bool awake = false;

    void begin() {}
    void setClock(uint32_t) {}
    void beginTransmission(uint8_t to) { address = to, written = 0; }
    void write(uint8_t byte)
    {
        if (written++ == 0) {
            chosen = byte;
        } else if (chosen == 0x6B) { /* PWR_MGMT_1: asleep after power-up (RM-MPU-6000A-00, 4.28) */
            awake = (byte & 0x40) == 0;
        }
    }
    uint8_t endTransmission(bool = true) { return address == 0x68 ? 0 : 2; }
    uint8_t requestFrom(uint8_t from, uint8_t size) { return from == 0x68 ? size : 0; }
    int read()
    {
        uint8_t at = chosen++;
        return awake && at == 0x3F ? 16384 >> 8 : 0; /* ACCEL_ZOUT_H at +-2 g */
    }
};

static HostWire Wire;

#endif
