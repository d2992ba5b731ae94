/* Which GPU each device of this process is. After a restore onto other GPUs it is another one, so the driver is asked again where that matters. Thread-safe. */
#ifndef TORPOR_DEVICES_H
#define TORPOR_DEVICES_H

#include "driver.h"

enum { DEVICE_UUID_TEXT = 41 };

void devices_ask(CUdevice device); /* asks the driver, and remembers */
void devices_meet(CUdevice device); /* likewise, unless that was done before */
void devices_ask_again(void);      /* about all that were asked about before */
int devices_uuid(CUdevice device, char *text); /* "GPU-..." as remembered; 0: not known */
void devices_after_fork(void);

#endif
