/* An empty libcudart.so.13: bytedeco's library names it, though the driver's calls that are measured need nothing of it. */
int torpor_stands_in_for_cudart = 1;
