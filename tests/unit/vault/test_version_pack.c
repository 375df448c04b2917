#include "vault/version_pack.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#define H "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

Test(version_pack, names_come_back_and_those_with_a_hash_are_short)
{
	static const struct {
		const char *name;
		size_t bytes;
	} cases[] = { { "pk/01/" H, 33 }, { "pa/01/" H, 33 }, { "rf/" H, 33 }, { "dd/" H, 33 },
		{ "pk/02/" H, 40 }, { "pk/" H, 37 }, { "sn/0123456789ab-" H, 50 },
		{ "vh/00000001-" H, 46 }, { "qr/pk_01_" H "-" H, 108 }, { H, 34 }, { "x" H, 35 },
		{ "README.txt", 12 }, { "a", 3 }, { "rf/0", 6 }, { "rf/ABCDEF", 11 } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t packed[VERSION_PACK_MAX_BYTES];
		char back[STORE_MAX_NAME_BYTES + 1];
		cr_expect(eq(sz, version_pack_name(cases[i].name, packed), cases[i].bytes), "%s",
			cases[i].name);
		version_pack_get_name(packed, back);
		cr_expect(eq(str, back, (char *)cases[i].name));
	}
	char longest[STORE_MAX_NAME_BYTES + 1], back[STORE_MAX_NAME_BYTES + 1];
	uint8_t packed[VERSION_PACK_MAX_BYTES];
	for (int hex = 0; hex < 2; hex++) {
		memset(longest, hex == 0 ? 'z' : 'a', STORE_MAX_NAME_BYTES);
		longest[STORE_MAX_NAME_BYTES] = '\0';
		(void)version_pack_name(longest, packed);
		version_pack_get_name(packed, back);
		cr_expect(eq(str, back, longest));
	}
}

Test(version_pack, ids_come_back_whatever_is_in_them)
{
	static const struct {
		const char *id;
		size_t bytes;
	} cases[] = { { "abcdefghijklmnopqrstuvwxyzABCD-.", 25 }, /* a Ceph RGW's */
		{ "3sL4kqtJlcpXroDTDmJ_rmSpXd3dIb.Y", 25 },       /* AWS's */
		{ "11111111-2222-3333-4444-555555555555", 29 }, { "null", 5 }, { "", 2 },
		{ "-_ both", 9 }, { "\xff\x01", 4 }, { "A", 3 }, { "AB", 4 }, { "ABC", 5 } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t packed[VERSION_PACK_MAX_BYTES];
		char back[VERSION_PACK_ID_BYTES];
		cr_expect(eq(sz, version_pack_id(cases[i].id, packed), cases[i].bytes), "%s",
			cases[i].id);
		version_pack_get_id(packed, back);
		cr_expect(eq(str, back, (char *)cases[i].id));
	}
	char longest[VERSION_PACK_ID_BYTES], back[VERSION_PACK_ID_BYTES];
	uint8_t packed[VERSION_PACK_MAX_BYTES];
	memset(longest, '+', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	cr_expect(le(sz, version_pack_id(longest, packed), sizeof(packed)));
	version_pack_get_id(packed, back);
	cr_expect(eq(str, back, longest));
}
