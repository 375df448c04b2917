/*
 * demo_plan: the example plan of the packaging line, as text in the program.
 */
#ifndef CMD_DEMO_PLAN_H
#define CMD_DEMO_PLAN_H

/* plans/examples/line3.plan, with a NUL at its end. */
extern const char demo_plan_text[];

#endif
