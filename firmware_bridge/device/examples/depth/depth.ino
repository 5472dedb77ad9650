/* Four HC-SR04 ultrasonic rangers as a depth sensor of the edge agent: four distances, 10 times a second.
 *
 * An image is one sample too. 8 x 8 zones (a VL53L5CX, say) or 32 x 24 pixels, row after row, are the same with
 * ZONES 64 or 768 and one call of the camera's library in readZones.
 */
#include "edge_bridge.h"

static const uint16_t ZONES = 4;
static const uint8_t TRIGGER_PINS[ZONES] = {2, 4, 6, 8};
static const uint8_t ECHO_PINS[ZONES] = {3, 5, 7, 9};
static const unsigned long TOO_FAR_US = 23500; /* 4 m, there and back at 343 m/s */

/* One channel, as often as there are zones: the host calls them zone_0, zone_1, ... */
static const edge_bridge_channel channels[1] = {{"zone", "m", 0.001f, 0}};
static const edge_bridge_sensor sensors[1] = {
    {"depth", "depth", channels, 1, ZONES, EDGE_BRIDGE_INT16, 10.0f, false, NULL, 0}, /* each sample at once */
};

static edge_bridge_clock counter;
static edge_bridge bridge;

static uint64_t nowUs(void *) { return edge_bridge_widen_us(&counter, micros()); }
static bool writeLine(void *, const uint8_t *data, size_t size) { return Serial.write(data, size) == size; }

static const edge_bridge_config config = {"depth-board", "1.0",     NULL,  0,    sensors,
                                          1,           writeLine, nowUs, NULL, NULL};

static void readZones(int16_t *millimetres) {
  /* Here the sensor is read: a pulse of 10 us asks, the length of the echo's pulse is the answer. */
  for (uint16_t zone = 0; zone < ZONES; zone++) {
    digitalWrite(TRIGGER_PINS[zone], HIGH);
    delayMicroseconds(10);
    digitalWrite(TRIGGER_PINS[zone], LOW);
    unsigned long echoUs = pulseIn(ECHO_PINS[zone], HIGH, TOO_FAR_US);
    millimetres[zone] = echoUs > 0 ? (int16_t)(echoUs * 343UL / 2000UL) : EDGE_BRIDGE_NO_READING_INT16;
  }
}

void setup() {
  Serial.begin(115200); /* baud_rate = 115_200 in the configuration of the agent */
  for (uint16_t zone = 0; zone < ZONES; zone++) {
    pinMode(TRIGGER_PINS[zone], OUTPUT);
    pinMode(ECHO_PINS[zone], INPUT);
  }
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
    int16_t millimetres[ZONES];
    nextUs = now - nextUs < 100000 ? nextUs + 100000 : now + 100000;
    readZones(millimetres);
    edge_bridge_sample(&bridge, 0, now, millimetres);
  }
}
