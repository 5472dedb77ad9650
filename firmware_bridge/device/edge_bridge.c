/* The device's side of the firmware bridge: see edge_bridge.h for its use and ../PROTOCOL.md for the wire.
 *
 * Frames are stuffed and summed while they are written, so that no frame is ever held whole.
 * COBS: S. Cheshire and M. Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM ToN 7(2), 1999.
 */
#include "edge_bridge.h"

#include <string.h>

#define HELLO 0x01u
#define DESCRIBE 0x02u
#define SENSOR_DESCRIPTOR 0x03u
#define START 0x04u
#define STOP 0x05u
#define SAMPLES 0x06u
#define CLOCK_REQUEST 0x07u
#define CLOCK_REPLY 0x08u
#define ERROR_REPORT 0x09u
#define LOG_LINE 0x0Au

#define HEAD_BYTES 2u /* type and sequence */
#define CRC_BYTES 2u
#define CRC_START 0xFFFFu
#define FULL_BLOCK 0xFFu
#define SAMPLES_BYTES (HEAD_BYTES + 16u) /* a frame of samples without times and data */
#define REGULAR 0u
#define IRREGULAR 1u
#define SIMULATED 1u
#define LONGEST_DELTA_US 0xFFFFu

typedef char needs_a_float_of_32_bits[sizeof(float) == 4 ? 1 : -1];

/* CRC-16/CCITT-FALSE without a table: x^16 = x^12 + x^5 + 1, and what x^12 pushes over the top comes back. */
static uint16_t crc_step(uint16_t crc, uint8_t byte)
{
    uint16_t top = (uint16_t)((uint16_t)(crc >> 8) ^ byte);
    top = (uint16_t)(top ^ (top >> 4));
    return (uint16_t)((uint32_t)crc << 8 ^ (uint32_t)top << 12 ^ (uint32_t)top << 5 ^ top);
}

/* ---- writing ---- */

static void write_out(edge_bridge *bridge, size_t size)
{
    const edge_bridge_config *config = bridge->config;
    if (!bridge->tx_failed && size > 0 && !config->write(config->context, bridge->tx, size)) {
        bridge->tx_failed = true;
    }
}

/* One byte onto the line; whole blocks go out where the buffer is full. */
static void append(edge_bridge *bridge, uint8_t byte)
{
    if (bridge->tx_used == EDGE_BRIDGE_TX_BYTES) {
        uint16_t open = (uint16_t)(bridge->tx_used - bridge->tx_code_at);
        write_out(bridge, bridge->tx_code_at);
        memmove(bridge->tx, bridge->tx + bridge->tx_code_at, open);
        bridge->tx_used = open;
        bridge->tx_code_at = 0;
    }
    bridge->tx[bridge->tx_used++] = byte;
}

static void open_block(edge_bridge *bridge)
{
    if (bridge->tx_used == EDGE_BRIDGE_TX_BYTES) {
        write_out(bridge, bridge->tx_used);
        bridge->tx_used = 0;
    }
    bridge->tx_code_at = bridge->tx_used++;
}

static void close_block(edge_bridge *bridge)
{
    uint8_t code = (uint8_t)(bridge->tx_used - bridge->tx_code_at);
    bridge->tx[bridge->tx_code_at] = code;
    bridge->tx_after_full = code == FULL_BLOCK;
}

static void stuff(edge_bridge *bridge, uint8_t byte)
{
    if (byte != 0) {
        append(bridge, byte);
    }
    if (byte == 0 || bridge->tx_used - bridge->tx_code_at == FULL_BLOCK) {
        close_block(bridge);
        open_block(bridge);
    }
}

static void put_u8(edge_bridge *bridge, uint8_t byte)
{
    bridge->tx_crc = crc_step(bridge->tx_crc, byte);
    stuff(bridge, byte);
}

static void put_bytes(edge_bridge *bridge, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        put_u8(bridge, data[i]);
    }
}

/* The lowest `size` bytes of `value`, little-endian. */
static void put_uint(edge_bridge *bridge, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        put_u8(bridge, (uint8_t)(value & 0xFFu));
        value >>= 8;
    }
}

static void put_float(edge_bridge *bridge, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_uint(bridge, bits, 4);
}

static size_t text_bytes(const char *text)
{
    return text == NULL ? 0 : strlen(text);
}

static void put_text(edge_bridge *bridge, const char *text)
{
    size_t size = text_bytes(text);
    put_u8(bridge, (uint8_t)size);
    put_bytes(bridge, (const uint8_t *)text, size);
}

static void begin_frame(edge_bridge *bridge, uint8_t type)
{
    bridge->tx_used = 0;
    bridge->tx_crc = CRC_START;
    bridge->tx_after_full = false;
    bridge->tx_failed = false;
    if (type == HELLO || bridge->tx_torn) {
        bridge->tx[bridge->tx_used++] = 0; /* ends whatever the line holds */
    }
    open_block(bridge);
    put_u8(bridge, type);
    put_u8(bridge, bridge->tx_sequence++);
}

static bool end_frame(edge_bridge *bridge)
{
    uint16_t crc = bridge->tx_crc;
    put_uint(bridge, crc, CRC_BYTES);
    if (bridge->tx_after_full && bridge->tx_used - bridge->tx_code_at == 1) {
        bridge->tx_used = bridge->tx_code_at; /* data that ends with a full block needs no closing code byte */
    } else {
        close_block(bridge);
    }
    bridge->tx_code_at = bridge->tx_used;
    append(bridge, 0);
    write_out(bridge, bridge->tx_used);
    bridge->tx_torn = bridge->tx_failed;
    if (bridge->tx_failed) {
        bridge->counters.dropped_frames++;
    }
    return !bridge->tx_failed;
}

/* ---- what is sent ---- */

static void send_hello(edge_bridge *bridge)
{
    const edge_bridge_config *config = bridge->config;
    begin_frame(bridge, HELLO);
    put_u8(bridge, EDGE_BRIDGE_VERSION);
    put_u8(bridge, config->uid_bytes);
    put_bytes(bridge, config->uid, config->uid_bytes);
    put_text(bridge, config->name);
    put_text(bridge, config->firmware);
    (void)end_frame(bridge); /* a host that missed it asks again */
}

static uint16_t repeats(const edge_bridge_sensor *sensor)
{
    return sensor->repeat == 0 ? 1u : sensor->repeat;
}

static void send_descriptor(edge_bridge *bridge, uint8_t position)
{
    const edge_bridge_sensor *sensor = &bridge->config->sensors[position];
    begin_frame(bridge, SENSOR_DESCRIPTOR);
    put_u8(bridge, (uint8_t)(position + 1u));
    put_u8(bridge, position);
    put_u8(bridge, bridge->config->n_sensors);
    put_u8(bridge, sensor->simulated ? SIMULATED : 0u);
    put_u8(bridge, sensor->format);
    put_float(bridge, sensor->rate_hz);
    put_uint(bridge, repeats(sensor), 2);
    put_text(bridge, sensor->name);
    put_text(bridge, sensor->modality);
    put_u8(bridge, sensor->n_channels);
    for (uint8_t i = 0; i < sensor->n_channels; i++) {
        put_text(bridge, sensor->channels[i].name);
        put_text(bridge, sensor->channels[i].unit);
        put_float(bridge, sensor->channels[i].scale);
        put_float(bridge, sensor->channels[i].offset);
    }
    (void)end_frame(bridge);
}

static bool send_message(edge_bridge *bridge, uint8_t type, uint8_t first, const char *message)
{
    size_t size = text_bytes(message), longest = EDGE_BRIDGE_MAX_BODY - HEAD_BYTES - 1u;
    begin_frame(bridge, type);
    put_u8(bridge, first);
    put_bytes(bridge, (const uint8_t *)message, size < longest ? size : longest);
    return end_frame(bridge);
}

bool edge_bridge_error(edge_bridge *bridge, uint8_t code, const char *message)
{
    return send_message(bridge, ERROR_REPORT, code, message);
}

bool edge_bridge_log(edge_bridge *bridge, uint8_t level, const char *message)
{
    return send_message(bridge, LOG_LINE, level, message);
}

/* ---- samples ---- */

static size_t value_bytes(const edge_bridge_sensor *sensor)
{
    return sensor->format == EDGE_BRIDGE_INT16 ? 2u : 4u;
}

static size_t sample_values(const edge_bridge_sensor *sensor)
{
    return (size_t)sensor->n_channels * repeats(sensor);
}

static size_t sample_bytes(const edge_bridge_sensor *sensor)
{
    return sample_values(sensor) * value_bytes(sensor);
}

/* How many samples the batch holds and one frame carries; 0: there is no batch. */
static uint16_t batch_samples(const edge_bridge_sensor *sensor)
{
    size_t stride = 2u + sample_bytes(sensor);
    size_t fits = (EDGE_BRIDGE_MAX_BODY - SAMPLES_BYTES + 2u) / stride;
    size_t held = sensor->batch == NULL ? 0 : sensor->batch_bytes / stride;
    return (uint16_t)(held < fits ? held : fits);
}

/* The value at `at` of the caller's array, as the bits that travel. */
static uint32_t value_bits(const edge_bridge_sensor *sensor, const uint8_t *at)
{
    uint32_t bits;
    if (sensor->format == EDGE_BRIDGE_INT16) {
        uint16_t half;
        memcpy(&half, at, sizeof half);
        return half;
    }
    memcpy(&bits, at, sizeof bits);
    return bits;
}

static void put_values(edge_bridge *bridge, const edge_bridge_sensor *sensor, const void *values, size_t count)
{
    const uint8_t *at = (const uint8_t *)values;
    size_t size = value_bytes(sensor);
    for (size_t i = 0; i < count; i++, at += size) {
        put_uint(bridge, value_bits(sensor, at), (unsigned)size);
    }
}

/* Whether a frame of samples may be begun; where not, its samples are counted. */
static bool has_room(edge_bridge *bridge, size_t body, uint16_t samples)
{
    const edge_bridge_config *config = bridge->config;
    size_t frame = body + CRC_BYTES;
    if (config->room == NULL || config->room(config->context, frame + frame / 254u + 3u)) {
        return true;
    }
    bridge->tx_sequence++; /* the host sees that a frame is missing */
    bridge->counters.dropped_frames++;
    bridge->counters.dropped_samples += samples;
    return false;
}

static void begin_samples(edge_bridge *bridge, uint8_t sensor, uint8_t timing, uint64_t time_us, uint16_t count)
{
    begin_frame(bridge, SAMPLES);
    put_u8(bridge, (uint8_t)(sensor + 1u));
    put_u8(bridge, timing);
    put_uint(bridge, bridge->streams[sensor].next_index - count, 4);
    put_uint(bridge, time_us, 8);
    put_uint(bridge, count, 2);
}

static bool end_samples(edge_bridge *bridge, uint16_t count)
{
    bool sent = end_frame(bridge);
    if (!sent) {
        bridge->counters.dropped_samples += count;
    }
    return sent;
}

bool edge_bridge_streams(const edge_bridge *bridge, uint8_t sensor)
{
    return sensor < bridge->config->n_sensors && bridge->streams[sensor].running;
}

/* One slot of the batch: the delta to the sample before, then the values; both as they travel. */
static void hold(edge_bridge_stream *stream, const edge_bridge_sensor *sensor, uint64_t time_us,
                 const void *values)
{
    const uint8_t *from = (const uint8_t *)values;
    uint8_t *to = sensor->batch + stream->held * (2u + sample_bytes(sensor));
    size_t size = value_bytes(sensor), n = sample_values(sensor);
    uint64_t delta_us = stream->held == 0 ? 0 : time_us - stream->last_us;
    *to++ = (uint8_t)(delta_us & 0xFFu);
    *to++ = (uint8_t)(delta_us >> 8);
    for (size_t i = 0; i < n; i++, from += size) {
        uint32_t bits = value_bits(sensor, from);
        for (size_t byte = 0; byte < size; byte++) {
            *to++ = (uint8_t)(bits & 0xFFu);
            bits >>= 8;
        }
    }
    if (stream->held == 0) {
        stream->first_us = time_us;
    }
    stream->last_us = time_us;
    stream->held++;
}

bool edge_bridge_flush(edge_bridge *bridge, uint8_t sensor)
{
    if (!edge_bridge_streams(bridge, sensor) || bridge->streams[sensor].held == 0) {
        return true;
    }
    const edge_bridge_sensor *described = &bridge->config->sensors[sensor];
    edge_bridge_stream *stream = &bridge->streams[sensor];
    size_t sample = sample_bytes(described), stride = 2u + sample;
    uint16_t count = stream->held;
    stream->held = 0;
    if (!has_room(bridge, SAMPLES_BYTES + count * stride - 2u, count)) {
        return false;
    }
    begin_samples(bridge, sensor, IRREGULAR, stream->first_us, count);
    for (uint16_t i = 1; i < count; i++) {
        put_bytes(bridge, described->batch + i * stride, 2);
    }
    for (uint16_t i = 0; i < count; i++) {
        put_bytes(bridge, described->batch + i * stride + 2u, sample);
    }
    return end_samples(bridge, count);
}

static bool send_alone(edge_bridge *bridge, uint8_t sensor, uint64_t time_us, const void *values)
{
    const edge_bridge_sensor *described = &bridge->config->sensors[sensor];
    if (!has_room(bridge, SAMPLES_BYTES + sample_bytes(described), 1)) {
        return false;
    }
    begin_samples(bridge, sensor, IRREGULAR, time_us, 1);
    put_values(bridge, described, values, sample_values(described));
    return end_samples(bridge, 1);
}

bool edge_bridge_sample(edge_bridge *bridge, uint8_t sensor, uint64_t time_us, const void *values)
{
    if (!edge_bridge_streams(bridge, sensor)) {
        return true;
    }
    edge_bridge_stream *stream = &bridge->streams[sensor];
    uint16_t batch = batch_samples(&bridge->config->sensors[sensor]);
    bool sent = true;
    /* Unsigned: a step back in time is too long as well. */
    if (stream->held > 0 && time_us - stream->last_us > LONGEST_DELTA_US) {
        sent = edge_bridge_flush(bridge, sensor);
    }
    stream->next_index++;
    if (batch == 0) {
        return send_alone(bridge, sensor, time_us, values);
    }
    hold(stream, &bridge->config->sensors[sensor], time_us, values);
    if (stream->held == batch) {
        sent = edge_bridge_flush(bridge, sensor) && sent;
    }
    return sent;
}

bool edge_bridge_block(edge_bridge *bridge, uint8_t sensor, uint64_t time_us, uint32_t interval_us,
                       uint16_t count, const void *values)
{
    if (!edge_bridge_streams(bridge, sensor)) {
        return true;
    }
    const edge_bridge_sensor *described = &bridge->config->sensors[sensor];
    size_t longest = EDGE_BRIDGE_MAX_SAMPLE / sample_bytes(described);
    if (count == 0 || count > longest) {
        return false;
    }
    bool sent = edge_bridge_flush(bridge, sensor);
    bridge->streams[sensor].next_index += count;
    if (!has_room(bridge, SAMPLES_BYTES + 4u + count * sample_bytes(described), count)) {
        return false;
    }
    begin_samples(bridge, sensor, REGULAR, time_us, count);
    put_uint(bridge, interval_us, 4);
    put_values(bridge, described, values, count * sample_values(described));
    return end_samples(bridge, count) && sent;
}

/* ---- what the host says ---- */

static void stop_all(edge_bridge *bridge)
{
    for (uint8_t i = 0; i < bridge->config->n_sensors; i++) {
        bridge->streams[i].running = false;
    }
}

/* A new conversation: what was described and started before counts no more. */
static void greet(edge_bridge *bridge)
{
    stop_all(bridge);
    bridge->described = false;
    send_hello(bridge);
}

/* Skip one `str` of a payload; false where it runs over the end. */
static bool skip_text(const uint8_t *payload, size_t size, size_t *at, size_t longest)
{
    if (*at >= size || payload[*at] > longest || payload[*at] > size - *at - 1u) {
        return false;
    }
    *at += 1u + payload[*at];
    return true;
}

static bool hear_hello(edge_bridge *bridge, const uint8_t *payload, size_t size)
{
    size_t at = 1; /* any version is answered with ours: the host decides */
    if (!skip_text(payload, size, &at, EDGE_BRIDGE_MAX_UID) || !skip_text(payload, size, &at, 255)
        || !skip_text(payload, size, &at, 255)) {
        return false;
    }
    greet(bridge);
    return true;
}

static bool hear_describe(edge_bridge *bridge)
{
    bridge->described = true;
    for (uint8_t i = 0; i < bridge->config->n_sensors; i++) {
        send_descriptor(bridge, i);
    }
    return true;
}

static bool hear_start(edge_bridge *bridge, const uint8_t *payload, size_t size)
{
    if (size < 1 || payload[0] > size - 1u) {
        return false;
    }
    for (uint8_t i = 0; i < bridge->config->n_sensors; i++) {
        bool named = payload[0] == 0 || memchr(payload + 1, i + 1, payload[0]) != NULL;
        bridge->streams[i].running = named && bridge->described; /* samples of the unknown would be an error */
        bridge->streams[i].next_index = 0;
        bridge->streams[i].held = 0;
    }
    return true;
}

static bool hear_clock_request(edge_bridge *bridge, const uint8_t *payload, size_t size)
{
    const edge_bridge_config *config = bridge->config;
    uint64_t received_us = config->now_us(config->context);
    if (size < 8) {
        return false;
    }
    begin_frame(bridge, CLOCK_REPLY);
    put_bytes(bridge, payload, 8);
    put_uint(bridge, received_us, 8);
    put_uint(bridge, config->now_us(config->context), 8);
    (void)end_frame(bridge);
    return true;
}

/* Obey one event; false where no correct host sends it. */
static bool hear(edge_bridge *bridge, uint8_t type, const uint8_t *payload, size_t size)
{
    switch (type) {
    case HELLO:
        return hear_hello(bridge, payload, size);
    case DESCRIBE:
        return hear_describe(bridge);
    case START:
        return hear_start(bridge, payload, size);
    case STOP:
        stop_all(bridge);
        return true;
    case CLOCK_REQUEST:
        return hear_clock_request(bridge, payload, size);
    case SENSOR_DESCRIPTOR:
    case SAMPLES:
    case CLOCK_REPLY:
    case ERROR_REPORT:
    case LOG_LINE:
        return false;
    default:
        bridge->counters.unknown_frames++;
        return true;
    }
}

static void follow_sequence(edge_bridge *bridge, uint8_t type, uint8_t sequence)
{
    if (bridge->rx_heard && type != HELLO) {
        bridge->counters.lost_frames += (uint8_t)(sequence - bridge->rx_sequence);
    }
    bridge->rx_sequence = (uint8_t)(sequence + 1u);
    bridge->rx_heard = true;
}

static void take_body(edge_bridge *bridge, size_t size)
{
    bridge->counters.frames++;
    if (size < HEAD_BYTES) {
        bridge->counters.unknown_frames++;
        return;
    }
    follow_sequence(bridge, bridge->rx[0], bridge->rx[1]);
    if (!hear(bridge, bridge->rx[0], bridge->rx + HEAD_BYTES, size - HEAD_BYTES)) {
        bridge->counters.breaches++;
        bridge->rx_heard = false;
        greet(bridge);
    }
}

/* ---- reading ---- */

static void take_run(edge_bridge *bridge)
{
    uint16_t used = bridge->rx_used, crc = CRC_START;
    if (bridge->rx_block_left > 0 || used <= CRC_BYTES) {
        bridge->counters.framing_errors++;
        return;
    }
    uint16_t body = (uint16_t)(used - CRC_BYTES);
    for (uint16_t i = 0; i < body; i++) {
        crc = crc_step(crc, bridge->rx[i]);
    }
    if (bridge->rx[body] != (crc & 0xFFu) || bridge->rx[body + 1u] != crc >> 8) {
        bridge->counters.crc_errors++;
        return;
    }
    take_body(bridge, body);
}

static void keep(edge_bridge *bridge, uint8_t byte)
{
    if (bridge->rx_used == EDGE_BRIDGE_RX_BYTES) {
        bridge->counters.overflows++;
        bridge->rx_discarding = true;
        return;
    }
    bridge->rx[bridge->rx_used++] = byte;
}

static void unstuff(edge_bridge *bridge, uint8_t byte)
{
    bridge->rx_any = true;
    if (bridge->rx_discarding) {
        return;
    }
    if (bridge->rx_block_left > 0) {
        bridge->rx_block_left--;
        keep(bridge, byte);
        return;
    }
    if (bridge->rx_zero_due) {
        keep(bridge, 0);
    }
    bridge->rx_block_left = (uint8_t)(byte - 1u);
    bridge->rx_zero_due = byte != FULL_BLOCK;
}

static void reset_run(edge_bridge *bridge)
{
    bridge->rx_used = 0;
    bridge->rx_block_left = 0;
    bridge->rx_zero_due = false;
    bridge->rx_any = false;
    bridge->rx_discarding = false;
}

void edge_bridge_receive(edge_bridge *bridge, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] != 0) {
            unstuff(bridge, data[i]);
            continue;
        }
        if (bridge->rx_any && !bridge->rx_discarding) {
            take_run(bridge);
        }
        reset_run(bridge);
    }
}

/* ---- the beginning ---- */

static bool text_fits(const char *text)
{
    return text_bytes(text) <= 255u;
}

static bool sensor_fits(const edge_bridge_sensor *sensor)
{
    size_t body = HEAD_BYTES + 14u + text_bytes(sensor->name) + text_bytes(sensor->modality);
    if (!text_fits(sensor->name) || !text_fits(sensor->modality) || sensor->n_channels == 0
        || sensor->format < EDGE_BRIDGE_INT16 || sensor->format > EDGE_BRIDGE_FLOAT32) {
        return false;
    }
    if (repeats(sensor) > EDGE_BRIDGE_MAX_SAMPLE / (sensor->n_channels * value_bytes(sensor))) {
        return false; /* divided, because the product may not fit into a size_t of 16 bits */
    }
    for (uint8_t i = 0; i < sensor->n_channels; i++) {
        const edge_bridge_channel *channel = &sensor->channels[i];
        if (!text_fits(channel->name) || !text_fits(channel->unit)) {
            return false;
        }
        body += 10u + text_bytes(channel->name) + text_bytes(channel->unit);
        if (body > EDGE_BRIDGE_MAX_BODY) {
            return false;
        }
    }
    return true;
}

static bool config_fits(const edge_bridge_config *config)
{
    if (config->n_sensors == 0 || config->n_sensors > EDGE_BRIDGE_MAX_SENSORS
        || config->uid_bytes > EDGE_BRIDGE_MAX_UID || !text_fits(config->name)
        || !text_fits(config->firmware)) {
        return false;
    }
    for (uint8_t i = 0; i < config->n_sensors; i++) {
        if (!sensor_fits(&config->sensors[i])) {
            return false;
        }
    }
    return true;
}

bool edge_bridge_begin(edge_bridge *bridge, const edge_bridge_config *config)
{
    if (!config_fits(config)) {
        return false;
    }
    memset(bridge, 0, sizeof *bridge);
    bridge->config = config;
    greet(bridge);
    return true;
}

uint64_t edge_bridge_widen_us(edge_bridge_clock *clock, uint32_t counter_us)
{
    if (counter_us < clock->last_us) {
        clock->wraps++;
    }
    clock->last_us = counter_us;
    return (uint64_t)clock->wraps << 32 | counter_us;
}
