/*
 * anon_peak: the peak of this process's anonymous memory over a while, sampled by a thread from
 * /proc/self/status.  One at a time.
 */
#ifndef TESTS_LIB_ANON_PEAK_H
#define TESTS_LIB_ANON_PEAK_H

struct anon_peak {
	unsigned long anon_kib, file_kib; /* RssAnon, RssFile; the peak of each */
	double cpu_s;                     /* user and system */
};

void anon_peak_begin(void);
/* End the thread; what was seen since the begin. */
void anon_peak_end(struct anon_peak *out);

#endif
