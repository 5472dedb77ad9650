/* Fuzz target for the C library: whatever the line carries, it stays in its memory and hears the next frame.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -I firmware_bridge/device tests/fuzz/fuzz_device.c \
 *         firmware_bridge/device/edge_bridge.c -o /tmp/fuzz_device && /tmp/fuzz_device -max_total_time=600
 *
 * `tests/test_device_library_noise.py` builds it with -DSTANDALONE and gives it seeded input on stdin: each
 * input its length (two bytes, little-endian) and its bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge_bridge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t batch[EDGE_BRIDGE_BATCH_BYTES(3, 2 * 40, 2)];
static const edge_bridge_channel channels[] = {{"x", "1", 1.0f, 0.0f}, {"y", "1", 1.0f, 0.0f}};
static const edge_bridge_sensor sensors[] = {
    {"batched", "depth", channels, 2, 40, EDGE_BRIDGE_INT16, 100.0f, false, batch, sizeof batch},
    {"alone", "pose", channels, 2, 1, EDGE_BRIDGE_FLOAT32, 30.0f, true, NULL, 0},
};
static size_t written;
static uint8_t last;

static bool write_line(void *context, const uint8_t *data, size_t size)
{
    (void)context;
    written += size;
    last = data[size - 1];
    return written % 7 != 0; /* now and then the line fails */
}

static uint64_t now_us(void *context)
{
    (void)context;
    return written;
}

static bool room(void *context, size_t size)
{
    (void)context;
    return size % 5 != 0;
}

/* An intact frame of this body; the CRC bit by bit, as its definition says. */
static void receive_intact(edge_bridge *bridge, const uint8_t *body, size_t size)
{
    uint8_t run[256];
    size_t used = 1, code_at = 0;
    uint16_t crc = 0xFFFF;
    if (size > 200) {
        size = 200;
    }
    for (size_t i = 0; i < size; i++) {
        crc = (uint16_t)(crc ^ (uint16_t)(body[i] << 8));
        for (int bit = 0; bit < 8; bit++) {
            crc = (uint16_t)((crc & 0x8000) != 0 ? crc << 1 ^ 0x1021 : crc << 1);
        }
    }
    for (size_t i = 0; i < size + 2; i++) {
        uint8_t byte = i < size ? body[i] : (uint8_t)(i == size ? crc & 0xFF : crc >> 8);
        if (byte == 0) {
            run[code_at] = (uint8_t)(used - code_at);
            code_at = used++;
        } else {
            run[used++] = byte;
        }
    }
    run[code_at] = (uint8_t)(used - code_at);
    run[used++] = 0;
    edge_bridge_receive(bridge, run, used);
}

static void sample_both(edge_bridge *bridge, uint64_t time_us)
{
    const int16_t integers[2 * 40] = {(int16_t)time_us, INT16_MIN};
    const float floats[2] = {1.5f, -0.0f};
    (void)edge_bridge_sample(bridge, 0, time_us * 9000u, integers);
    (void)edge_bridge_sample(bridge, 1, time_us, floats);
    (void)edge_bridge_block(bridge, 1, time_us, 10, 1, floats);
}

/* `data` as bodies of intact frames, cut at 0xA5, each in a stream that runs. */
static void as_bodies(edge_bridge *bridge, const uint8_t *data, size_t size)
{
    static const uint8_t describe[] = {0x02, 0}, start[] = {0x04, 1, 0};
    size_t begun = 0;
    for (size_t i = 0; i <= size; i++) {
        if (i == size || data[i] == 0xA5) {
            receive_intact(bridge, describe, sizeof describe);
            receive_intact(bridge, start, sizeof start);
            receive_intact(bridge, data + begun, i - begun);
            sample_both(bridge, i);
            begun = i + 1;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static edge_bridge bridge;
    static const edge_bridge_config config = {"fuzz", "1", NULL,   0,    sensors,
                                              2,      write_line, now_us, room, NULL};
    static const uint8_t request[] = {0x07, 9, 1, 2, 3, 4, 5, 6, 7, 8};
    written = 0;
    if (!edge_bridge_begin(&bridge, &config)) {
        abort();
    }
    for (size_t at = 0; at < size; at += 61) {
        edge_bridge_receive(&bridge, data + at, size - at < 61 ? size - at : 61);
    }
    as_bodies(&bridge, data, size);
    edge_bridge_receive(&bridge, (const uint8_t *)"", 1);
    size_t before = written;
    receive_intact(&bridge, request, sizeof request);
    if (written - before < 30 || written - before > 33 || last != 0) {
        abort(); /* the clock request was not answered by one frame */
    }
    return 0;
}

#ifdef STANDALONE
int main(void)
{
    static uint8_t input[65536];
    uint8_t head[2];
    int inputs = 0;
    while (fread(head, 1, 2, stdin) == 2) {
        size_t size = (size_t)(head[0] | head[1] << 8);
        if (fread(input, 1, size, stdin) != size) {
            return 2;
        }
        (void)LLVMFuzzerTestOneInput(input, size);
        inputs++;
    }
    printf("%d\n", inputs);
    return 0;
}
#endif
