/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A harness of one page, so that the same tests build for machines whose
 * cross compiler comes with nothing but a C library.
 *
 * "PROGRAM" runs every case, "PROGRAM CASE..." those named, "PROGRAM -l" lists.
 */
#ifndef PCV_CHECK_H
#define PCV_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pcv_case {
	const char *name;
	void (*run)(void);
};

#define CHECK(cond)							\
	do {								\
		if (!(cond)) {						\
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			exit(1);					\
		}							\
	} while (0)

#define CHECK_EQ(a, b)							\
	do {								\
		long long a_ = (long long)(a), b_ = (long long)(b);	\
									\
		if (a_ != b_) {						\
			fprintf(stderr, "%s:%d: %s is %lld, %s is %lld\n", \
				__FILE__, __LINE__, #a, a_, #b, b_);	\
			exit(1);					\
		}							\
	} while (0)

static inline int pcv_check_main(int argc, char **argv, const struct pcv_case *cases, size_t count)
{
	size_t i;
	int arg, ran = 0;

	for (i = 0; i < count; i++) {
		if (argc == 2 && !strcmp(argv[1], "-l")) {
			puts(cases[i].name);
			ran++;
			continue;
		}
		for (arg = 1; arg < argc; arg++)
			if (!strcmp(argv[arg], cases[i].name))
				break;
		if (argc > 1 && arg == argc)
			continue;
		cases[i].run();
		printf("ok %s\n", cases[i].name);
		fflush(stdout);
		ran++;
	}
	if (!ran)
		fprintf(stderr, "no such case\n");
	return ran ? 0 : 1;
}

#define PCV_CHECK_MAIN(cases)						\
	int main(int argc, char **argv)					\
	{								\
		return pcv_check_main(argc, argv, cases, sizeof(cases) / sizeof((cases)[0])); \
	}

#endif /* PCV_CHECK_H */
