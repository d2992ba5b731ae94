/* Faults that a test asks for in TORPOR_SIM_FAULTS: NAME[#FROM[-TO]]=ACTION[,ACTION...], entries separated by ';'. */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include <stdint.h>

struct fault {
    int code;         /* answer this, -1: none */
    int after;        /* do the work first */
    int die;
    int hang;
    int state;        /* report this state from now on, -1: none */
    int delay_ms;
    uint64_t slow;    /* MB/s, 0: as fast as it goes */
};

/* Takes the entries for NVML or those for all else. `find` knows the exported name for the one in an entry, NULL: there is none.
 * 0: an entry is malformed, as stderr has been told. */
int faults_load(const char *text, int nvml, const char *(*find)(const char *));
/* Counts a call of `name` and says what applies to it; 0: nothing does. */
int fault_next(const char *name, struct fault *fault);
/* The delay, the hang and the death. */
void fault_suffer(const struct fault *fault);

#endif
