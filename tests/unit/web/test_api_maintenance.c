#include "web/api_maintenance.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"

/* What is refused before a controller is asked; the rest is shown by network_maintenance.sh. */
static void refuses(const char *body, const char *text)
{
	struct err err = ERR_INIT;
	char job[MSG_ID_HEX];
	json_t *o = json_loads(body, 0, NULL);
	cr_assert(ne(ptr, o, NULL), "%s", body);
	cr_expect(
		eq(int, api_maintenance_order(NULL, "anna", o, job, &err), -ERR_USAGE), "%s", body);
	cr_expect(ne(ptr, strstr(err.msg, text), NULL), "%s: %s", body, err.msg);
	json_decref(o);
}

Test(api_maintenance, refuses_what_is_no_task_and_approvals_that_say_nothing)
{
	refuses("{}", "needs a 'task'");
	refuses("{\"task\": 7}", "needs a 'task'");
	refuses("{\"task\": \"backup\"}", "needs a 'task'");
	refuses("{\"task\": \"collect\", \"approve\": \"me\"}", "goes with retention only");
	refuses("{\"task\": \"retention\", \"approve\": \"\"}", "who agreed and why");
}
