#include "base/err.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

Test(err, every_id_leads_back_to_its_code)
{
	static const int codes[] = {
#define X(name, value, id, status, retry) value,
#include "base/err.def"
#undef X
	};
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		cr_expect(eq(int, err_code_of_id(err_id(codes[i])), codes[i]));
	cr_expect(eq(int, err_code_of_id("unheard-of"), 0));
	cr_expect(eq(int, err_code_of_id(""), 0));
}
