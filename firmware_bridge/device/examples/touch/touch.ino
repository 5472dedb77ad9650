/* A capacitive touch matrix of 27 rows and 15 columns as a sensor of the edge agent: 20 images a second.
 *
 * A sensor has 255 channels at most, so an image travels as it is scanned: row by row, each a sample of its
 * own with its own time. The channel "row" says which one it is.
 */
#include "edge_bridge.h"

static const uint8_t ROWS = 27, COLUMNS = 15;
static const uint8_t ROW_PINS[5] = {2, 3, 4, 5, 6};      /* address of the multiplexer that drives a row */
static const uint8_t COLUMN_PINS[4] = {7, 8, 9, 10};     /* address of the multiplexer that picks a column */
static const uint32_t ROW_US = 1000000UL / 20 / ROWS;

static const edge_bridge_channel channels[COLUMNS + 1] = {
    {"row", "1", 1, 0}, {"c0", "1", 1, 0},  {"c1", "1", 1, 0},  {"c2", "1", 1, 0},
    {"c3", "1", 1, 0},  {"c4", "1", 1, 0},  {"c5", "1", 1, 0},  {"c6", "1", 1, 0},
    {"c7", "1", 1, 0},  {"c8", "1", 1, 0},  {"c9", "1", 1, 0},  {"c10", "1", 1, 0},
    {"c11", "1", 1, 0}, {"c12", "1", 1, 0}, {"c13", "1", 1, 0}, {"c14", "1", 1, 0},
};
static uint8_t batch[EDGE_BRIDGE_BATCH_BYTES(9, COLUMNS + 1, 2)]; /* a third of an image: 306 bytes */
static const edge_bridge_sensor sensors[1] = {
    {"touch", "capacitance", channels, COLUMNS + 1, 1, EDGE_BRIDGE_INT16, 20.0f * ROWS, false, batch,
     sizeof batch},
};

static edge_bridge_clock counter;
static edge_bridge bridge;

static uint64_t nowUs(void *) { return edge_bridge_widen_us(&counter, micros()); }
static bool writeLine(void *, const uint8_t *data, size_t size) { return Serial.write(data, size) == size; }

static const edge_bridge_config config = {"touch-board", "1.0",     NULL,  0,    sensors,
                                          1,           writeLine, nowUs, NULL, NULL};

static void choose(const uint8_t *pins, int n, uint8_t address) {
  for (int i = 0; i < n; i++) {
    digitalWrite(pins[i], (address >> i) & 1 ? HIGH : LOW);
  }
}

static void readRow(uint8_t row, int16_t values[COLUMNS]) {
  /* Here the sensor is read: a touch controller would be asked for the row instead. */
  choose(ROW_PINS, 5, row);
  for (uint8_t column = 0; column < COLUMNS; column++) {
    choose(COLUMN_PINS, 4, column);
    values[column] = (int16_t)analogRead(A0);
  }
}

void setup() {
  Serial.begin(500000); /* 20 kB a second: baud_rate = 500_000 in the configuration of the agent */
  for (int i = 0; i < 5; i++) {
    pinMode(ROW_PINS[i], OUTPUT);
  }
  for (int i = 0; i < 4; i++) {
    pinMode(COLUMN_PINS[i], OUTPUT);
  }
  edge_bridge_begin(&bridge, &config);
}

void loop() {
  static uint64_t nextUs = 0;
  static uint8_t row = 0;
  while (Serial.available() > 0) {
    uint8_t got = (uint8_t)Serial.read();
    edge_bridge_receive(&bridge, &got, 1);
  }
  uint64_t now = nowUs(NULL);
  if (now >= nextUs) {
    int16_t values[COLUMNS + 1];
    nextUs = now - nextUs < ROW_US ? nextUs + ROW_US : now + ROW_US;
    values[0] = row;
    readRow(row, values + 1);
    edge_bridge_sample(&bridge, 0, now, values);
    row = (uint8_t)((row + 1) % ROWS);
  }
}
