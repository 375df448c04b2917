/*
 * chunker COUNT SEED [FIRST]: COUNT buffers cut with every kernel of this machine, whole and in
 * pushes, against the portable kernel (an eighth of them against the plain rule).  Prints what was
 * compared; exit status 1 and the buffer's number when two differ.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/chunker_cases.h"

#define TELL_EVERY 100000

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: chunker COUNT SEED [FIRST]\n");
		return 2;
	}
	uint64_t count = strtoull(argv[1], NULL, 10), seed = strtoull(argv[2], NULL, 10);
	uint64_t first = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
	struct chunker_cases cases;
	char why[200];
	int rc = count == 0 ? 2 : 0;

	chunker_cases_init(&cases);
	printf("prove-chunker: seed %llu, kernels", (unsigned long long)seed);
	for (size_t i = 0; chunker_kernel_at(i) != NULL; i++)
		printf(" %s", chunker_kernel_at(i)->name);
	printf("\n");
	for (uint64_t i = first; rc == 0 && i < first + count; i++) {
		if (!chunker_cases_compare(&cases, seed, i, why, sizeof(why))) {
			printf("prove-chunker: seed %llu, buffer %llu: %s\n",
				(unsigned long long)seed, (unsigned long long)i, why);
			rc = 1;
		}
		if (cases.buffers % TELL_EVERY == 0)
			fflush(stdout);
	}
	printf("prove-chunker: %llu buffers, %llu bytes, %llu chunks, %llu candidates planted, "
	       "%llu runs of a kernel, %s\n",
		(unsigned long long)cases.buffers, (unsigned long long)cases.bytes,
		(unsigned long long)cases.chunks, (unsigned long long)cases.planted,
		(unsigned long long)cases.runs, rc == 0 ? "all alike" : "NOT ALIKE");
	chunker_cases_done(&cases);
	return rc;
}
