/* A Grid-EYE AMG8833 on I2C as a sensor of the edge agent: 8 x 8 temperatures, 10 times a second. */
#include <Wire.h>

#include "edge_bridge.h"

/* Panasonic, Infrared Array Sensor Grid-EYE (AMG88), reference specifications: register map. */
static const uint8_t AMG = 0x69, PIXEL_1_LOW = 0x80;
static const uint8_t PIXELS = 64;
static const uint8_t AT_ONCE = 16; /* pixels: the Wire of small boards takes no more than 32 bytes */

/* One channel, as often as there are pixels: the host calls them px_00 to px_63. */
static const edge_bridge_channel channels[1] = {{"px", "degC", 0.25f, 0}};
static const edge_bridge_sensor sensors[1] = {
    {"thermal", "thermal", channels, 1, PIXELS, EDGE_BRIDGE_INT16, 10.0f, false, NULL, 0},
};

static edge_bridge_clock counter;
static edge_bridge bridge;

static uint64_t nowUs(void *) { return edge_bridge_widen_us(&counter, micros()); }
static bool writeLine(void *, const uint8_t *data, size_t size) { return Serial.write(data, size) == size; }

static const edge_bridge_config config = {"thermal-board", "1.0",     NULL,  0,    sensors,
                                          1,             writeLine, nowUs, NULL, NULL};

static void readPixels(int16_t *quarters, uint8_t first) {
  /* Here the sensor is read: two bytes a pixel, low byte first, 12 bits in two's complement. */
  Wire.beginTransmission(AMG);
  Wire.write((uint8_t)(PIXEL_1_LOW + 2 * first));
  bool answers = Wire.endTransmission(false) == 0 && Wire.requestFrom(AMG, (uint8_t)(2 * AT_ONCE)) == 2 * AT_ONCE;
  for (uint8_t i = 0; i < AT_ONCE; i++) {
    quarters[first + i] = EDGE_BRIDGE_NO_READING_INT16;
    if (answers) {
      uint16_t low = (uint8_t)Wire.read();
      uint16_t raw = (uint16_t)(low | (uint16_t)((uint8_t)Wire.read() & 0x0F) << 8);
      quarters[first + i] = (int16_t)(raw & 0x800 ? (int16_t)raw - 0x1000 : (int16_t)raw);
    }
  }
}

void setup() {
  Serial.begin(115200); /* baud_rate = 115_200 in the configuration of the agent */
  Wire.begin();
  Wire.setClock(400000);
  edge_bridge_begin(&bridge, &config);
}

void loop() {
  static uint64_t nextUs = 0;
  while (Serial.available() > 0) {
    uint8_t got = (uint8_t)Serial.read();
    edge_bridge_receive(&bridge, &got, 1);
  }
  uint64_t now = nowUs(NULL);
  if (now >= nextUs) {
    int16_t quarters[PIXELS];
    nextUs = now - nextUs < 100000 ? nextUs + 100000 : now + 100000;
    for (uint8_t first = 0; first < PIXELS; first += AT_ONCE) {
      readPixels(quarters, first);
    }
    edge_bridge_sample(&bridge, 0, now, quarters);
  }
}
