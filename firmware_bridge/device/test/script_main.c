/* The library under a test's command: one line in, one call, one line out with what it wrote and what it says.
 *
 *     sensor NAME MODALITY FORMAT RATE SIMULATED BATCH_BYTES REPEAT    describes one more sensor
 *     channel NAME UNIT SCALE OFFSET                                   one more channel of the last sensor
 *     begin NAME UID FIRMWARE | rx BYTES | sample SENSOR TIME VALUES | block SENSOR TIME INTERVAL COUNT VALUES
 *     flush SENSOR | log LEVEL TEXT | error CODE TEXT
 *     now TIME | index SENSOR NEXT | room 0/1 | line BYTES | widen COUNTER | reset
 *
 * Texts and bytes are hexadecimal, "-" where empty; values are as they lie in memory. The answer is
 * "RESULT WRITTEN RUNNING COUNTERS...".
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../edge_bridge.h"

#define MAX_LINE (1 << 20)
#define MAX_BYTES (MAX_LINE / 2)
#define MAX_FIELDS 8
#define MAX_CHANNELS 256
#define MAX_BATCH 5000
#define MAX_KEPT 4096

static edge_bridge bridge;
static edge_bridge_clock counter;
static edge_bridge_config config;
static edge_bridge_sensor sensors[EDGE_BRIDGE_MAX_SENSORS + 1];
static edge_bridge_channel channels[EDGE_BRIDGE_MAX_SENSORS + 1][MAX_CHANNELS];
static uint8_t batches[EDGE_BRIDGE_MAX_SENSORS + 1][MAX_BATCH];
static uint64_t now_value_us;
static bool line_has_room = true;
static size_t line_takes = MAX_BYTES; /* bytes, then it fails */
static uint8_t written[MAX_BYTES];
static size_t written_bytes;
static uint8_t *kept[MAX_KEPT];
static size_t n_kept;

static bool write_line(void *context, const uint8_t *data, size_t size)
{
    (void)context;
    size_t taken = size < line_takes ? size : line_takes;
    if (taken > MAX_BYTES - written_bytes) {
        exit(3);
    }
    memcpy(written + written_bytes, data, taken);
    written_bytes += taken;
    line_takes -= line_takes < MAX_BYTES ? taken : 0;
    return taken == size;
}

static uint64_t now_us(void *context)
{
    (void)context;
    return now_value_us;
}

static bool room(void *context, size_t size)
{
    (void)context;
    (void)size;
    return line_has_room;
}

/* Hexadecimal -> bytes in memory of exactly their size, so that a read beyond them is found. */
static uint8_t *bytes_of(const char *hex, size_t *size, size_t spare)
{
    *size = strcmp(hex, "-") == 0 ? 0 : strlen(hex) / 2;
    uint8_t *bytes = (uint8_t *)malloc(*size + spare);
    if (n_kept == MAX_KEPT || (bytes == NULL && *size + spare > 0)) {
        exit(3);
    }
    kept[n_kept++] = bytes;
    for (size_t i = 0; i < *size; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], 0};
        bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return bytes;
}

static char *text_of(const char *hex)
{
    size_t size;
    uint8_t *bytes = bytes_of(hex, &size, 1);
    bytes[size] = 0;
    return (char *)bytes;
}

static void forget_down_to(size_t how_many)
{
    while (n_kept > how_many) {
        free(kept[--n_kept]);
    }
}

static uint64_t number(const char *field)
{
    return strtoull(field, NULL, 0);
}

static bool add_sensor(char **field)
{
    edge_bridge_sensor *sensor = &sensors[config.n_sensors];
    sensor->name = text_of(field[1]);
    sensor->modality = text_of(field[2]);
    sensor->channels = channels[config.n_sensors];
    sensor->n_channels = 0;
    sensor->format = (uint8_t)number(field[3]);
    sensor->rate_hz = strtof(field[4], NULL);
    sensor->simulated = number(field[5]) != 0;
    sensor->batch_bytes = (size_t)number(field[6]);
    sensor->batch = sensor->batch_bytes > 0 ? batches[config.n_sensors] : NULL;
    sensor->repeat = (uint16_t)number(field[7]);
    config.n_sensors++;
    return true;
}

static bool add_channel(char **field)
{
    edge_bridge_channel *channel = &channels[config.n_sensors - 1][sensors[config.n_sensors - 1].n_channels++];
    channel->name = text_of(field[1]);
    channel->unit = text_of(field[2]);
    channel->scale = strtof(field[3], NULL);
    channel->offset = strtof(field[4], NULL);
    return true;
}

static bool begin(char **field)
{
    size_t uid_bytes;
    config.name = text_of(field[1]);
    config.uid = bytes_of(field[2], &uid_bytes, 0);
    config.uid_bytes = (uint8_t)uid_bytes;
    config.firmware = text_of(field[3]);
    config.sensors = sensors;
    config.write = write_line;
    config.now_us = now_us;
    config.room = room;
    return edge_bridge_begin(&bridge, &config);
}

static bool receive(const char *hex)
{
    size_t size;
    const uint8_t *data = bytes_of(hex, &size, 0);
    edge_bridge_receive(&bridge, data, size);
    return true;
}

static bool take_values(char **field, bool block)
{
    size_t size;
    uint8_t sensor = (uint8_t)number(field[1]);
    const uint8_t *values = bytes_of(field[block ? 5 : 3], &size, 0);
    return block ? edge_bridge_block(&bridge, sensor, number(field[2]), (uint32_t)number(field[3]),
                                     (uint16_t)number(field[4]), values)
                 : edge_bridge_sample(&bridge, sensor, number(field[2]), values);
}

/* What describes the device: its texts are kept until the reset. */
static bool configure(char **field, bool *result)
{
    const char *verb = field[0];
    if (strcmp(verb, "sensor") == 0) {
        *result = add_sensor(field);
    } else if (strcmp(verb, "channel") == 0) {
        *result = add_channel(field);
    } else if (strcmp(verb, "begin") == 0) {
        *result = begin(field);
    } else if (strcmp(verb, "reset") == 0) {
        forget_down_to(0);
        memset(&bridge, 0, sizeof bridge);
        config.n_sensors = 0;
        line_has_room = true;
        line_takes = MAX_BYTES;
        *result = true;
    } else {
        return false;
    }
    return true;
}

static bool obey(char **field)
{
    const char *verb = field[0];
    if (strcmp(verb, "rx") == 0) {
        return receive(field[1]);
    } else if (strcmp(verb, "sample") == 0 || strcmp(verb, "block") == 0) {
        return take_values(field, verb[0] == 'b');
    } else if (strcmp(verb, "flush") == 0) {
        return edge_bridge_flush(&bridge, (uint8_t)number(field[1]));
    } else if (strcmp(verb, "log") == 0) {
        return edge_bridge_log(&bridge, (uint8_t)number(field[1]), text_of(field[2]));
    } else if (strcmp(verb, "error") == 0) {
        return edge_bridge_error(&bridge, (uint8_t)number(field[1]), text_of(field[2]));
    } else if (strcmp(verb, "now") == 0) {
        now_value_us = number(field[1]);
    } else if (strcmp(verb, "index") == 0) {
        bridge.streams[number(field[1])].next_index = (uint32_t)number(field[2]);
    } else if (strcmp(verb, "room") == 0) {
        line_has_room = number(field[1]) != 0;
    } else if (strcmp(verb, "line") == 0) {
        line_takes = number(field[1]) < MAX_BYTES ? (size_t)number(field[1]) : MAX_BYTES;
    } else if (strcmp(verb, "widen") == 0) {
        now_value_us = edge_bridge_widen_us(&counter, (uint32_t)number(field[1]));
    } else {
        exit(2);
    }
    return true;
}

static void answer(bool result)
{
    const edge_bridge_counters *counts = &bridge.counters;
    printf("%d ", result);
    for (size_t i = 0; i < written_bytes; i++) {
        printf("%02x", written[i]);
    }
    printf("%s ", written_bytes > 0 ? "" : "-");
    for (uint8_t i = 0; bridge.config != NULL && i < bridge.config->n_sensors; i++) {
        putchar(edge_bridge_streams(&bridge, i) ? '1' : '0');
    }
    printf("- %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32
           " %" PRIu32 " %" PRIu64 "\n",
           counts->frames, counts->framing_errors, counts->crc_errors, counts->overflows, counts->lost_frames,
           counts->unknown_frames, counts->breaches, counts->dropped_frames, counts->dropped_samples,
           now_value_us);
    fflush(stdout);
    written_bytes = 0;
}

int main(void)
{
    static char line[MAX_LINE];
    while (fgets(line, MAX_LINE, stdin) != NULL) {
        char *field[MAX_FIELDS] = {NULL};
        char *part = strtok(line, " \n");
        for (int i = 0; part != NULL && i < MAX_FIELDS; i++, part = strtok(NULL, " \n")) {
            field[i] = part;
        }
        bool result = false;
        size_t before = n_kept;
        if (field[0] != NULL && !configure(field, &result)) {
            result = obey(field);
            forget_down_to(before);
        }
        answer(result);
    }
    forget_down_to(0);
    return 0;
}
