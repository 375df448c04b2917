/* nasty make [-t] [-s] [-l] DIR, nasty remove DIR: make or remove the tree of nasty entries. */
#include "tests/lib/nasty.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	unsigned what = 0;
	int c;
	while ((c = getopt(argc, argv, "tsl")) != -1) {
		what |= c == 't' ? NASTY_TERABYTE : 0;
		what |= c == 's' ? NASTY_SOCKETS : 0;
		what |= c == 'l' ? NASTY_LOCKED : 0;
		if (c == '?')
			optind = argc + 1;
	}
	bool make = argc - optind == 2 && strcmp(argv[optind], "make") == 0;
	bool clear = argc - optind == 2 && strcmp(argv[optind], "remove") == 0;
	if (!make && !clear) {
		fputs("usage: nasty [-tsl] make DIR | nasty remove DIR\n"
		      "  -t a sparse file of 1 TiB   -s sockets   -l append-only and immutable\n",
			stderr);
		return 2;
	}
	int fd = open(argv[optind + 1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct nasty_counts counts = { 0 };
	if (fd < 0 || (make ? nasty_make(fd, what, stderr, &counts) : nasty_remove(fd)) != 0) {
		perror("nasty");
		return 1;
	}
	(void)close(fd); /* read only */
	if (make)
		printf("made %u skipped %u\n", counts.made, counts.skipped);
	return 0;
}
