/* Streams that are being captured, in the whole process. */
#ifndef TORPOR_CAPTURE_H
#define TORPOR_CAPTURE_H

int capturing(void);

#endif
