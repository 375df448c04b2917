#include "cmd/demo_plan.h"

/* The file itself, so that program and example cannot differ. */
__asm__(".section .rodata\n"
	".global demo_plan_text\n"
	".type demo_plan_text, @object\n"
	"demo_plan_text:\n"
	".incbin \"plans/examples/line3.plan\"\n"
	".byte 0\n"
	".size demo_plan_text, . - demo_plan_text\n"
	".previous\n");
