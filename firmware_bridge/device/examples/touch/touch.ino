/* A capacitive touch matrix of 27 rows and 15 columns as a sensor of the edge agent: 10 images a second.
 *
 * An image is one sample: the channels of a row, 27 times. Its time is that of its first row. The image takes
 * 810 bytes of memory; the library sends it from there and keeps no copy, so an Arduino Uno is enough.
 */
#include "edge_bridge.h"

static const uint8_t ROWS = 27, COLUMNS = 15;
static const uint8_t ROW_PINS[5] = {2, 3, 4, 5, 6};      /* address of the multiplexer that drives a row */
static const uint8_t COLUMN_PINS[4] = {7, 8, 9, 10};     /* address of the multiplexer that picks a column */
static const uint32_t IMAGE_US = 100000;

static const edge_bridge_channel channels[COLUMNS] = {
    {"c00", "1", 1, 0}, {"c01", "1", 1, 0}, {"c02", "1", 1, 0}, {"c03", "1", 1, 0}, {"c04", "1", 1, 0},
    {"c05", "1", 1, 0}, {"c06", "1", 1, 0}, {"c07", "1", 1, 0}, {"c08", "1", 1, 0}, {"c09", "1", 1, 0},
    {"c10", "1", 1, 0}, {"c11", "1", 1, 0}, {"c12", "1", 1, 0}, {"c13", "1", 1, 0}, {"c14", "1", 1, 0},
};
static const edge_bridge_sensor sensors[1] = {
    {"touch", "capacitance", channels, COLUMNS, ROWS, EDGE_BRIDGE_INT16, 10.0f, false, NULL, 0},
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
  Serial.begin(500000); /* an image in 17 ms: baud_rate = 500_000 in the configuration of the agent */
  for (int i = 0; i < 5; i++) {
    pinMode(ROW_PINS[i], OUTPUT);
  }
  for (int i = 0; i < 4; i++) {
    pinMode(COLUMN_PINS[i], OUTPUT);
  }
  edge_bridge_begin(&bridge, &config);
}

void loop() {
  static int16_t image[ROWS][COLUMNS];
  static uint64_t nextUs = 0, beganUs = 0;
  static uint8_t row = 0;
  while (Serial.available() > 0) {
    uint8_t got = (uint8_t)Serial.read();
    edge_bridge_receive(&bridge, &got, 1);
  }
  uint64_t now = nowUs(NULL);
  if (row == 0 && now < nextUs) {
    return;
  }
  if (row == 0) {
    nextUs = now - nextUs < IMAGE_US ? nextUs + IMAGE_US : now + IMAGE_US;
    beganUs = now;
  }
  readRow(row, image[row]); /* one row each time, so that the host is not left waiting */
  if (++row == ROWS) {
    edge_bridge_sample(&bridge, 0, beganUs, image);
    row = 0;
  }
}
