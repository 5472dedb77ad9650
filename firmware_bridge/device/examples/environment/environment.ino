/* An SHT31 on I2C as a sensor of the edge agent: temperature and humidity, once a second. */
#include <Wire.h>
#include <math.h>

#include "edge_bridge.h"

/* Sensirion, SHT3x-DIS data sheet version 5: 4.3 (single shot), 4.12 (checksum), 4.13 (conversion). */
static const uint8_t SHT = 0x44;
static const uint32_t PERIOD_US = 1000000, MEASURED_US = 16000; /* 15 ms at high repeatability */

static const edge_bridge_channel channels[2] = {{"temperature", "degC", 1, 0}, {"humidity", "%", 1, 0}};
static const edge_bridge_sensor sensors[1] = {
    {"air", "environment", channels, 2, 1, EDGE_BRIDGE_FLOAT32, 1.0f, false, NULL, 0}, /* each at once */
};

static edge_bridge_clock counter;
static edge_bridge bridge;

static uint64_t nowUs(void *) { return edge_bridge_widen_us(&counter, micros()); }
static bool writeLine(void *, const uint8_t *data, size_t size) { return Serial.write(data, size) == size; }

static const edge_bridge_config config = {"air-board", "1.0",     NULL,  0,    sensors,
                                          1,         writeLine, nowUs, NULL, NULL};

static void ask() {
  Wire.beginTransmission(SHT);
  Wire.write((uint8_t)0x24); /* measure once, high repeatability, without holding the clock */
  Wire.write((uint8_t)0x00);
  Wire.endTransmission();
}

static float readShare() {
  /* Two bytes and their checksum, as a share of all that there can be; NAN where the checksum is wrong. */
  uint8_t data[2], crc = 0xFF;
  for (int i = 0; i < 2; i++) {
    crc ^= data[i] = (uint8_t)Wire.read();
    for (int bit = 0; bit < 8; bit++) {
      crc = (uint8_t)(crc & 0x80 ? crc << 1 ^ 0x31 : crc << 1);
    }
  }
  return (uint8_t)Wire.read() == crc ? (float)((uint16_t)data[0] << 8 | data[1]) / 65535.0f : NAN;
}

static void readAir(float values[2]) {
  /* Here the sensor is read. */
  bool answers = Wire.requestFrom(SHT, (uint8_t)6) == 6;
  values[0] = answers ? -45.0f + 175.0f * readShare() : NAN;
  values[1] = answers ? 100.0f * readShare() : NAN;
}

void setup() {
  Serial.begin(115200); /* baud_rate = 115_200 in the configuration of the agent */
  Wire.begin();
  edge_bridge_begin(&bridge, &config);
}

void loop() {
  static uint64_t nextUs = 0, askedUs = 0;
  while (Serial.available() > 0) {
    uint8_t got = (uint8_t)Serial.read();
    edge_bridge_receive(&bridge, &got, 1);
  }
  uint64_t now = nowUs(NULL);
  if (askedUs != 0 && now - askedUs >= MEASURED_US) {
    float values[2];
    readAir(values);
    edge_bridge_sample(&bridge, 0, now, values);
    askedUs = 0;
  } else if (askedUs == 0 && now >= nextUs) {
    nextUs = now - nextUs < PERIOD_US ? nextUs + PERIOD_US : now + PERIOD_US;
    askedUs = now;
    ask();
  }
}
