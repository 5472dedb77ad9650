/* An MPU-6050 on I2C as a sensor of the edge agent: acceleration and rotation at 100 Hz. */
#include <Wire.h>

#include "edge_bridge.h"

/* InvenSense PS-MPU-6000A-00 rev. 3.4 (features) and RM-MPU-6000A-00 rev. 4.2 (registers). */
static const uint8_t MPU = 0x68;
static const uint8_t ACCEL_XOUT_H = 0x3B, PWR_MGMT_1 = 0x6B;
static const float ACC = 9.80665f / 16384.0f;       /* +-2 g, the range after power-up */
static const float GYRO = 0.017453293f / 131.0f;    /* +-250 deg/s */

static const edge_bridge_channel channels[6] = {
    {"acc_x", "m/s2", ACC, 0},   {"acc_y", "m/s2", ACC, 0},   {"acc_z", "m/s2", ACC, 0},
    {"gyro_x", "rad/s", GYRO, 0}, {"gyro_y", "rad/s", GYRO, 0}, {"gyro_z", "rad/s", GYRO, 0},
};
static uint8_t batch[EDGE_BRIDGE_BATCH_BYTES(10, 6, 2)];
static const edge_bridge_sensor sensors[1] = {
    {"imu", "imu", channels, 6, 1, EDGE_BRIDGE_INT16, 100.0f, false, batch, sizeof batch},
};

static edge_bridge_clock counter;
static edge_bridge bridge;

static uint64_t nowUs(void *) { return edge_bridge_widen_us(&counter, micros()); }
static bool writeLine(void *, const uint8_t *data, size_t size) { return Serial.write(data, size) == size; }

static const edge_bridge_config config = {"imu-board", "1.0",     NULL,  0,    sensors,
                                          1,           writeLine, nowUs, NULL, NULL};

static void readImu(int16_t values[6]) {
  /* Here the sensor is read: acceleration, temperature (left out) and rotation, big-endian. */
  int16_t raw[7] = {0, 0, 0, 0, 0, 0, 0};
  Wire.beginTransmission(MPU);
  Wire.write(ACCEL_XOUT_H);
  bool answers = Wire.endTransmission(false) == 0 && Wire.requestFrom(MPU, (uint8_t)14) == 14;
  for (int i = 0; answers && i < 7; i++) {
    uint8_t high = (uint8_t)Wire.read();
    raw[i] = (int16_t)(high << 8 | (uint8_t)Wire.read());
  }
  for (int i = 0; i < 6; i++) {
    values[i] = answers ? raw[i < 3 ? i : i + 1] : EDGE_BRIDGE_NO_READING_INT16;
  }
}

void setup() {
  Serial.begin(115200); /* baud_rate = 115_200 in the configuration of the agent */
  Wire.begin();
  Wire.setClock(400000);
  Wire.beginTransmission(MPU);
  Wire.write(PWR_MGMT_1);
  Wire.write((uint8_t)1); /* awake, clocked by the gyroscope */
  Wire.endTransmission();
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
    int16_t values[6];
    nextUs = now - nextUs < 10000 ? nextUs + 10000 : now + 10000; /* what was missed is not made up for */
    readImu(values);
    edge_bridge_sample(&bridge, 0, now, values);
  }
}
