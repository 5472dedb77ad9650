/* The device's side of the firmware bridge for microcontrollers: C99, no allocation, no I/O of its own.
 *
 * ../PROTOCOL.md, version 1, is what it speaks. Give `edge_bridge_begin` the sensors and two functions (write
 * bytes, tell the time), hand over what the line brings with `edge_bridge_receive`, and call
 * `edge_bridge_sample` whenever a sensor was read. Everything else (greeting, descriptors, start and stop,
 * clock replies, frames, counts) is done here.
 *
 * One caller at a time: not from an interrupt, and not from within the functions of the configuration.
 * Everything the configuration points to must live as long as the bridge.
 */
#ifndef EDGE_BRIDGE_H
#define EDGE_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EDGE_BRIDGE_VERSION 1u
#define EDGE_BRIDGE_MAX_BODY 4096u /* PROTOCOL.md, "Frames" */
#define EDGE_BRIDGE_MAX_SAMPLE (EDGE_BRIDGE_MAX_BODY - 22u) /* what a frame holds with either timing */
#define EDGE_BRIDGE_MAX_UID 32u

/* The three sizes below may be set by compiler flags, for all files alike. */

/* The longest frame of a host that is taken in, with its CRC; a longer one is counted and skipped. 550 is the
 * longest hello there can be. 64 is enough for the agent, and leaves an AVR the memory for an image. */
#ifndef EDGE_BRIDGE_RX_BYTES
#ifdef __AVR__
#define EDGE_BRIDGE_RX_BYTES 64u
#else
#define EDGE_BRIDGE_RX_BYTES 550u
#endif
#endif

/* What is collected before the line is written to. A COBS block takes 255 bytes, so 256 is the least, however
 * long the frames are; a frame that fits is written in one call, which suits USB. */
#ifndef EDGE_BRIDGE_TX_BYTES
#define EDGE_BRIDGE_TX_BYTES 256u
#endif

#ifndef EDGE_BRIDGE_MAX_SENSORS
#define EDGE_BRIDGE_MAX_SENSORS 4u
#endif

#if EDGE_BRIDGE_RX_BYTES < 20 || EDGE_BRIDGE_RX_BYTES > 65535
#error "EDGE_BRIDGE_RX_BYTES must be 20 to 65535"
#endif
#if EDGE_BRIDGE_TX_BYTES < 256 || EDGE_BRIDGE_TX_BYTES > 65535
#error "EDGE_BRIDGE_TX_BYTES must be 256 to 65535"
#endif
#if EDGE_BRIDGE_MAX_SENSORS < 1 || EDGE_BRIDGE_MAX_SENSORS > 255
#error "EDGE_BRIDGE_MAX_SENSORS must be 1 to 255"
#endif

/* How values are given and sent; the number is that of the descriptor. */
#define EDGE_BRIDGE_INT16 1u
#define EDGE_BRIDGE_INT32 2u
#define EDGE_BRIDGE_FLOAT32 3u

/* What says "no reading" for one channel; a float says NAN. */
#define EDGE_BRIDGE_NO_READING_INT16 INT16_MIN
#define EDGE_BRIDGE_NO_READING_INT32 INT32_MIN

#define EDGE_BRIDGE_DEBUG 1u
#define EDGE_BRIDGE_INFO 2u
#define EDGE_BRIDGE_WARNING 3u
#define EDGE_BRIDGE_ERROR 4u

/* The memory that holds `samples` samples of `values` values (n_channels * repeat) until they are sent in one
 * frame. */
#define EDGE_BRIDGE_BATCH_BYTES(samples, values, value_bytes) \
    ((size_t)(samples) * (2u + (size_t)(values) * (size_t)(value_bytes)))

/* One column: value in `unit` = raw * scale + offset. */
typedef struct {
    const char *name;
    const char *unit;
    float scale;
    float offset;
} edge_bridge_channel;

typedef struct {
    const char *name;
    const char *modality; /* one of the twelve words of IoT-LM ("imu", "depth", ...), or "environment" */
    const edge_bridge_channel *channels;
    uint8_t n_channels; /* 1 to 255 */
    uint16_t repeat;    /* how often a sample has the channels, one list after the other; 0 is 1 */
    uint8_t format;
    float rate_hz;  /* nominal; the truth is in the timestamps */
    bool simulated; /* the values were made up by a model of the sensor */
    uint8_t *batch; /* EDGE_BRIDGE_BATCH_BYTES; NULL: every sample is a frame of its own, and nothing is copied */
    size_t batch_bytes;
} edge_bridge_sensor;

typedef struct {
    const char *name;
    const char *firmware;
    const uint8_t *uid; /* the board's unchanging identity, or NULL */
    uint8_t uid_bytes;  /* 32 at most */
    const edge_bridge_sensor *sensors; /* on the wire, sensor_id is the place here plus one */
    uint8_t n_sensors;
    /* Put all of `data` on the line, waiting for it if need be; false: it could not. */
    bool (*write)(void *context, const uint8_t *data, size_t size);
    /* Microseconds since the start, which never wrap: see edge_bridge_widen_us. */
    uint64_t (*now_us)(void *context);
    /* Whether the line takes `size` bytes without waiting, asked before each frame of samples: where not, the
     * frame is dropped whole and counted. NULL: always. */
    bool (*room)(void *context, size_t size);
    void *context; /* passed to the three functions */
} edge_bridge_config;

/* What the line did to us, and what we could not send. */
typedef struct {
    uint32_t frames; /* received with a right CRC */
    uint32_t framing_errors;
    uint32_t crc_errors;
    uint32_t overflows;
    uint32_t lost_frames; /* holes in the host's frame sequence */
    uint32_t unknown_frames;
    uint32_t breaches; /* intact frames that no host sends: each began a new conversation */
    uint32_t dropped_frames; /* ours, not written or not to their end */
    uint32_t dropped_samples;
} edge_bridge_counters;

/* What is known of one sensor that streams. */
typedef struct {
    uint64_t first_us; /* of the samples that are held in the batch */
    uint64_t last_us;
    uint32_t next_index;
    uint16_t held;
    bool running;
} edge_bridge_stream;

/* All memory of the bridge. Its fields are its own; `counters` may be read. */
typedef struct {
    const edge_bridge_config *config;
    edge_bridge_counters counters;
    edge_bridge_stream streams[EDGE_BRIDGE_MAX_SENSORS];
    bool described;

    uint16_t rx_used;
    uint8_t rx_block_left; /* bytes to the next code byte */
    bool rx_zero_due;      /* the next code byte stands for a zero */
    bool rx_any;           /* the run has a byte */
    bool rx_discarding;
    bool rx_heard; /* rx_sequence is known */
    uint8_t rx_sequence;

    uint8_t tx_sequence;
    uint16_t tx_used;
    uint16_t tx_code_at; /* where the code byte of the open block lies */
    uint16_t tx_crc;
    bool tx_after_full; /* the block before the open one stands for no zero */
    bool tx_failed;
    bool tx_torn; /* the line may hold half a frame */

    uint8_t rx[EDGE_BRIDGE_RX_BYTES];
    uint8_t tx[EDGE_BRIDGE_TX_BYTES];
} edge_bridge;

/* Start, and say hello. False, and nothing is sent, for a configuration that does not fit on the wire: no
 * sensor or too many, no channel, a text over 255 bytes, a descriptor over EDGE_BRIDGE_MAX_BODY, a sample over
 * EDGE_BRIDGE_MAX_SAMPLE. */
bool edge_bridge_begin(edge_bridge *bridge, const edge_bridge_config *config);

/* Take what the line gave, in any portions; answers what the host asks. */
void edge_bridge_receive(edge_bridge *bridge, const uint8_t *data, size_t size);

/* Whether the host wants samples of this sensor now. `sensor` is its place in the configuration, as below. */
bool edge_bridge_streams(const edge_bridge *bridge, uint8_t sensor);

/* Take one sample: `values` are n_channels * repeat of int16_t, int32_t or float, as its format says. It is held
 * until the batch is full or the next one comes over 65,535 us later. Nothing happens where the host does not
 * want it. False where samples were dropped, which the host then sees as a hole. */
bool edge_bridge_sample(edge_bridge *bridge, uint8_t sensor, uint64_t time_us, const void *values);

/* Send `count` samples that hardware took `interval_us` apart, as one frame. False where they were dropped,
 * or where 4096 bytes do not hold them and nothing was done. */
bool edge_bridge_block(edge_bridge *bridge, uint8_t sensor, uint64_t time_us, uint32_t interval_us,
                       uint16_t count, const void *values);

/* Send the samples that are held now. */
bool edge_bridge_flush(edge_bridge *bridge, uint8_t sensor);

/* Tell the host that something failed, and go on. */
bool edge_bridge_error(edge_bridge *bridge, uint8_t code, const char *message);

/* A line for a human. */
bool edge_bridge_log(edge_bridge *bridge, uint8_t level, const char *message);

/* A 32-bit microsecond counter as 64 bits: start with zeros, and ask at least once in its 71 minutes. */
typedef struct {
    uint32_t last_us;
    uint32_t wraps;
} edge_bridge_clock;

uint64_t edge_bridge_widen_us(edge_bridge_clock *clock, uint32_t counter_us);

#ifdef __cplusplus
}
#endif

#endif
