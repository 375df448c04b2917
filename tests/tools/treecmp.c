/* treecmp [-o] [-h] [-s] [-r] A B: print how two trees differ; exit 0 equal, 1 not, 2 trouble. */
#include "tests/lib/treecmp.h"

#include <fcntl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct treecmp_opts opts = { 0 };
	int c;
	while ((c = getopt(argc, argv, "ohsr")) != -1) {
		opts.ignore_owner |= c == 'o';
		opts.ignore_holes |= c == 'h';
		opts.ignore_sockets |= c == 's';
		opts.compare_root |= c == 'r';
		if (c == '?')
			optind = argc + 1;
	}
	if (argc - optind != 2) {
		fputs("usage: treecmp [-ohsr] A B\n"
		      "  -o ignore owners, set-id bits, trusted and security attributes\n"
		      "  -h ignore holes   -s ignore A's sockets   -r compare A and B themselves\n",
			stderr);
		return 2;
	}
	int a = open(argv[optind], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int b = open(argv[optind + 1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (a < 0 || b < 0) {
		perror("treecmp");
		return 2;
	}
	long differences = treecmp_dirs(a, b, &opts, stdout);
	(void)close(a); /* read only */
	(void)close(b);
	return differences < 0 ? 2 : differences > 0;
}
