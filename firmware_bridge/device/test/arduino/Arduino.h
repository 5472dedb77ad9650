/* As much of Arduino as the examples call, for a Linux machine: Serial is stdin and stdout, the pins answer
 * by rule. Tests compile an example with `g++ -x c++ -include Arduino.h` and talk to it like to a board. */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define HIGH 1
#define LOW 0
#define INPUT 0
#define OUTPUT 1
#define A0 14

void setup();
void loop();

static inline uint32_t micros()
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u);
}

/* A pin is what was last written to it. */
static uint8_t pin_levels[32];
static inline void pinMode(uint8_t, uint8_t) {}
static inline void digitalWrite(uint8_t pin, uint8_t level) { pin_levels[pin] = level; }
static inline void delayMicroseconds(unsigned) {}

/* The levels of the pins 2 to 10, as one number: what a matrix behind them would be asked for. */
static inline int analogRead(uint8_t)
{
    int address = 0;
    for (int pin = 10; pin >= 2; pin--) {
        address = address << 1 | pin_levels[pin];
    }
    return address;
}

/* An obstacle that is the farther the higher the pin; nothing before pin 9. */
static inline unsigned long pulseIn(uint8_t pin, uint8_t, unsigned long)
{
    return pin == 9 ? 0 : pin * 2000UL;
}

struct HostSerial {
    void begin(unsigned long) {}
    int available()
    {
        struct pollfd line = {STDIN_FILENO, POLLIN, 0};
        return poll(&line, 1, 1) > 0; /* a millisecond, so that an idle loop does not take the processor */
    }
    int read()
    {
        uint8_t byte;
        if (::read(STDIN_FILENO, &byte, 1) != 1) {
            exit(0); /* the host has gone */
        }
        return byte;
    }
    size_t write(const uint8_t *data, size_t size)
    {
        ssize_t written = ::write(STDOUT_FILENO, data, size);
        return written < 0 ? 0 : (size_t)written;
    }
};

/* A camera module: 0.00, 0.01, ... and a number out of range after each hundred. */
struct HostModule {
    int next = 0;
    void begin(unsigned long) {}
    int available() { return 1; }
    float parseFloat() { return (float)(next++ % 102) / 100.0f; }
};

static HostSerial Serial;
static HostModule Serial1;

int main()
{
    setup();
    for (;;) {
        loop();
    }
}

#endif
