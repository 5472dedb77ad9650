/* A whole device for tests on a Linux machine: plays counted samples over stdin and stdout, or over a port.
 *
 *     device_main [--flood FRAMES] [--port PATH] [--counters FILE]
 *
 * Its sensor "imu" has six channels, "touch" is an image of 27 x 15 and "depth" one of 32 x 24. Value and time
 * of each sample follow from its number alone (`value_of`, `time_of_us`), so that whoever receives it can tell
 * whether it is right. It plays at 100 Hz, the images at 10 Hz, or, with --flood, that many frames of ten
 * samples of "imu" after each start, as fast as the line takes them; its clock then counts how often it is
 * looked at, so that a conversation is the same to the byte each time. At its end it writes into FILE what it
 * got: frames, lost frames, framing errors, CRC errors, unknown frames, breaches.
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "../edge_bridge.h"

#define CHANNELS 6
#define BATCH 10
#define COLUMNS 15
#define ROWS 27
#define PIXELS (32 * 24)
#define SAMPLES_AN_IMAGE 10
#define FRAMES_A_TURN 64

static const edge_bridge_channel channels[CHANNELS] = {
    {"acc_x", "m/s2", 0.0078125f, 0.5f},    {"acc_y", "m/s2", 0.0078125f, 0.5f},
    {"acc_z", "m/s2", 0.0078125f, 0.5f},    {"gyro_x", "rad/s", 0.0009765625f, 0.0f},
    {"gyro_y", "rad/s", 0.0009765625f, 0.0f}, {"gyro_z", "rad/s", 0.0009765625f, 0.0f},
};
static const edge_bridge_channel row[COLUMNS] = {
    {"c00", "1", 1.0f, 0.0f}, {"c01", "1", 1.0f, 0.0f}, {"c02", "1", 1.0f, 0.0f}, {"c03", "1", 1.0f, 0.0f},
    {"c04", "1", 1.0f, 0.0f}, {"c05", "1", 1.0f, 0.0f}, {"c06", "1", 1.0f, 0.0f}, {"c07", "1", 1.0f, 0.0f},
    {"c08", "1", 1.0f, 0.0f}, {"c09", "1", 1.0f, 0.0f}, {"c10", "1", 1.0f, 0.0f}, {"c11", "1", 1.0f, 0.0f},
    {"c12", "1", 1.0f, 0.0f}, {"c13", "1", 1.0f, 0.0f}, {"c14", "1", 1.0f, 0.0f},
};
static const edge_bridge_channel pixel = {"distance", "m", 0.0078125f, 2.0f};
static uint8_t batch[EDGE_BRIDGE_BATCH_BYTES(BATCH, CHANNELS, 2)];
static const edge_bridge_sensor sensors[] = {
    {"imu", "imu", channels, CHANNELS, 1, EDGE_BRIDGE_INT16, 100.0f, true, batch, sizeof batch},
    {"touch", "capacitance", row, COLUMNS, ROWS, EDGE_BRIDGE_INT16, 10.0f, true, NULL, 0},
    {"depth", "depth", &pixel, 1, PIXELS, EDGE_BRIDGE_INT16, 10.0f, true, NULL, 0},
};
#define N_SENSORS (sizeof sensors / sizeof sensors[0])

typedef struct {
    int in;
    int out;
    uint64_t flood_samples; /* 0: at 100 Hz */
    uint64_t next;          /* number of the next sample since the start */
    uint64_t origin_us;
    bool playing;
    uint64_t looks; /* at the clock, in a flood */
    const char *counters_path;
} device;

static int16_t value_of(uint64_t number, uint64_t column)
{
    return (int16_t)((int)((number * 31u + column * 1009u) % 601u) - 300);
}

static uint64_t time_of_us(uint64_t number)
{
    return number * 10000u + number % 5u * 13u;
}

static uint64_t now_us(void *context)
{
    device *self = (device *)context;
    struct timespec now;
    if (self->flood_samples > 0) {
        return ++self->looks;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static bool write_line(void *context, const uint8_t *data, size_t size)
{
    const device *self = (const device *)context;
    while (size > 0) {
        ssize_t written = write(self->out, data, size);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        if (written > 0) {
            data += written;
            size -= (size_t)written;
        }
    }
    return true;
}

/* A board cannot wait for a host that does not read; a flood is there to fill the line. */
static bool room_on_line(void *context, size_t size)
{
    const device *self = (const device *)context;
    struct pollfd line = {self->out, POLLOUT, 0};
    (void)size;
    return self->flood_samples > 0 || poll(&line, 1, 0) > 0;
}

/* Take what came; false at the end of the line. */
static bool listen_to_host(device *self, edge_bridge *bridge, int patience_ms)
{
    struct pollfd line = {self->in, POLLIN, 0};
    uint8_t data[256];
    if (poll(&line, 1, patience_ms) <= 0) {
        return true;
    }
    ssize_t size = read(self->in, data, sizeof data);
    if (size <= 0) {
        return size < 0 && errno == EINTR;
    }
    edge_bridge_receive(bridge, data, (size_t)size);
    return true;
}

static void play_sample(edge_bridge *bridge, uint8_t sensor, uint64_t number, uint64_t time_us)
{
    int16_t values[PIXELS];
    uint64_t columns = (uint64_t)sensors[sensor].n_channels * sensors[sensor].repeat;
    for (uint64_t column = 0; column < columns; column++) {
        values[column] = value_of(number, column);
    }
    (void)edge_bridge_sample(bridge, sensor, time_us, values);
}

static void play_next(device *self, edge_bridge *bridge)
{
    uint64_t time_us = self->origin_us + time_of_us(self->next);
    play_sample(bridge, 0, self->next, time_us);
    if (self->flood_samples == 0 && self->next % SAMPLES_AN_IMAGE == 0) {
        play_sample(bridge, 1, self->next / SAMPLES_AN_IMAGE, time_us);
        play_sample(bridge, 2, self->next / SAMPLES_AN_IMAGE, time_us);
    }
    self->next++;
}

/* The first sensor that the host wants; N_SENSORS where it wants none. */
static uint8_t wanted(const edge_bridge *bridge)
{
    uint8_t sensor = 0;
    while (sensor < N_SENSORS && !edge_bridge_streams(bridge, sensor)) {
        sensor++;
    }
    return sensor;
}

/* Play what is due; return for how many milliseconds nothing more will be, -1: until the host speaks. */
static int play(device *self, edge_bridge *bridge)
{
    uint8_t sensor = wanted(bridge);
    if (sensor == N_SENSORS) {
        self->playing = false;
        return -1;
    }
    if (!self->playing || bridge->streams[sensor].next_index == 0) { /* a new start, or a start while it played */
        self->playing = true;
        self->next = 0;
        self->origin_us = self->flood_samples > 0 ? 0 : now_us(self);
    }
    if (self->flood_samples > 0) {
        for (int i = 0; i < FRAMES_A_TURN * BATCH && self->next < self->flood_samples; i++) {
            play_next(self, bridge);
        }
        return self->next < self->flood_samples ? 0 : -1;
    }
    while (self->origin_us + time_of_us(self->next) <= now_us(self)) {
        play_next(self, bridge);
    }
    return 5;
}

static bool open_port(device *self, const char *path)
{
    struct termios raw;
    self->in = self->out = open(path, O_RDWR | O_NOCTTY);
    if (self->in < 0 || tcgetattr(self->in, &raw) < 0) {
        return false;
    }
    cfmakeraw(&raw);
    return tcsetattr(self->in, TCSANOW, &raw) == 0;
}

static bool write_counters(const char *path, const edge_bridge_counters *got)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return false;
    }
    fprintf(file, "%lu %lu %lu %lu %lu %lu\n", (unsigned long)got->frames, (unsigned long)got->lost_frames,
            (unsigned long)got->framing_errors, (unsigned long)got->crc_errors,
            (unsigned long)got->unknown_frames, (unsigned long)got->breaches);
    return fclose(file) == 0;
}

int main(int argc, char **argv)
{
    device self = {STDIN_FILENO, STDOUT_FILENO, 0, 0, 0, false, 0, NULL};
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc) {
            fprintf(stderr, "usage: %s [--flood FRAMES] [--port PATH] [--counters FILE]\n", argv[0]);
            return 2;
        }
        if (strcmp(argv[i], "--flood") == 0) {
            self.flood_samples = strtoull(argv[i + 1], NULL, 10) * BATCH;
        } else if (strcmp(argv[i], "--counters") == 0) {
            self.counters_path = argv[i + 1];
        } else if (strcmp(argv[i], "--port") != 0 || !open_port(&self, argv[i + 1])) {
            perror(argv[i + 1]);
            return 2;
        }
    }
    edge_bridge_config config = {"device_main", "1.0.0", (const uint8_t *)"counted", 7,  sensors, N_SENSORS,
                                 write_line,    now_us,  room_on_line,               &self};
    static edge_bridge bridge;
    if (!edge_bridge_begin(&bridge, &config)) {
        return 3;
    }
    while (listen_to_host(&self, &bridge, play(&self, &bridge))) {
    }
    return self.counters_path == NULL || write_counters(self.counters_path, &bridge.counters) ? 0 : 4;
}
