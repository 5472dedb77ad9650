/* Gaze and hand keypoints from a camera module as two sensors of the edge agent, on a board with a second UART.
 *
 * The module (an OpenMV or an ESP32 camera that runs a landmark model) prints a line of 44 numbers for each
 * picture: where the eyes look on the screen (x, y), then 21 hand landmarks (x, y each), all 0 to 1.
 */
#include <math.h>

#include "edge_bridge.h"

static const uint8_t GAZE = 0, HAND = 1, LANDMARKS = 21;

static const edge_bridge_channel gazeChannels[2] = {{"gaze_x", "1", 1, 0}, {"gaze_y", "1", 1, 0}};
static edge_bridge_channel handChannels[2 * LANDMARKS]; /* named in setup: x_0, y_0, x_1, ... */
static char names[2 * LANDMARKS][8];
static const edge_bridge_sensor sensors[2] = {
    {"gaze", "gaze", gazeChannels, 2, 1, EDGE_BRIDGE_FLOAT32, 30.0f, false, NULL, 0},
    {"hand", "pose", handChannels, 2 * LANDMARKS, 1, EDGE_BRIDGE_FLOAT32, 30.0f, false, NULL, 0},
};

static edge_bridge_clock counter;
static edge_bridge bridge;

static uint64_t nowUs(void *) { return edge_bridge_widen_us(&counter, micros()); }
static bool writeLine(void *, const uint8_t *data, size_t size) { return Serial.write(data, size) == size; }

static const edge_bridge_config config = {"camera-board", "1.0",     NULL,  0,    sensors,
                                          2,              writeLine, nowUs, NULL, NULL};

static void readPoints(float *points, int n) {
  /* Here the sensor is read. A number outside 0 to 1 is the module's way to say that it saw nothing. */
  for (int i = 0; i < n; i++) {
    float point = Serial1.parseFloat();
    points[i] = point >= 0.0f && point <= 1.0f ? point : NAN;
  }
}

void setup() {
  Serial.begin(921600);
  Serial1.begin(115200);
  for (uint8_t i = 0; i < 2 * LANDMARKS; i++) {
    uint8_t landmark = i / 2;
    snprintf(names[i], sizeof names[i], "%c_%u", i % 2 ? 'y' : 'x', landmark);
    handChannels[i].name = names[i];
    handChannels[i].unit = "1";
    handChannels[i].scale = 1.0f;
    handChannels[i].offset = 0.0f;
  }
  edge_bridge_begin(&bridge, &config);
}

void loop() {
  while (Serial.available() > 0) {
    uint8_t got = (uint8_t)Serial.read();
    edge_bridge_receive(&bridge, &got, 1);
  }
  if (Serial1.available() > 0) {
    float gaze[2], hand[2 * LANDMARKS];
    uint64_t now = nowUs(NULL); /* when the line begins to come; the picture is a little older */
    readPoints(gaze, 2);
    readPoints(hand, 2 * LANDMARKS);
    edge_bridge_sample(&bridge, GAZE, now, gaze);
    edge_bridge_sample(&bridge, HAND, now, hand);
  } else {
    (void)nowUs(NULL); /* the counter must be seen at least once in 71 minutes */
  }
}
