#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"
#include "store/s3/s3_location.h"

static struct err err;

static void expect(const char *text, const char *host, const char *bucket, const char *prefix)
{
	struct s3_location l;
	cr_assert(eq(int, s3_location_parse(text, &l, &err), 0), "%s: %s", text, err.msg);
	cr_expect(eq(str, l.host, (char *)host), "%s", text);
	cr_expect(eq(str, l.bucket, (char *)bucket), "%s", text);
	cr_expect(eq(str, l.prefix, (char *)prefix), "%s", text);
	s3_location_done(&l);
}

Test(s3_location, host_bucket_and_prefix_are_found)
{
	expect("http://127.0.0.1:9000/plant", "127.0.0.1:9000", "plant", "");
	expect("http://127.0.0.1:9000/plant/", "127.0.0.1:9000", "plant", "");
	expect("https://s3.example.org/plant/a/b//", "s3.example.org", "plant", "a/b/");
	expect("https://s3.example.org:443/plant.x", "s3.example.org", "plant.x", "");
	expect("http://s3.example.org:80/plant?style=path", "s3.example.org", "plant", "");
	expect("https://s3.example.org:80/plant", "s3.example.org:80", "plant", "");
	expect("http://[::1]:9000/plant/p", "[::1]:9000", "plant", "p/");
	expect("http://h/plant/a+b%20c%25%3F%C3%BC", "h", "plant", "a+b c%?\xc3\xbc/");
}

Test(s3_location, options_are_taken)
{
	struct s3_location l;
	cr_assert(eq(int,
			  s3_location_parse(
				  "https://h/plant/p?region=eu-1&style=virtual"
				  "&view=oldest&ca=/etc/a%26b.pem&profile=x&credentials=imds",
				  &l, &err),
			  0),
		"%s", err.msg);
	cr_expect(l.is_https && l.is_virtual && !l.is_amazon && l.is_oldest);
	cr_expect(eq(str, l.region, "eu-1"));
	cr_expect(eq(str, l.ca_file, "/etc/a&b.pem"));
	cr_expect(eq(str, l.profile, "x"));
	cr_expect(eq(str, l.credentials, "imds"));
	s3_location_done(&l);
}

Test(s3_location, amazon_wants_the_bucket_in_the_host)
{
	struct s3_location l;
	cr_assert(eq(int, s3_location_parse("https://s3.eu-1.amazonaws.com/plant", &l, &err), 0));
	cr_expect(l.is_amazon && l.is_virtual);
	s3_location_done(&l);
	cr_assert(eq(int, s3_location_parse("https://s3.eu-1.amazonaws.com/pl.ant", &l, &err), 0));
	cr_expect(l.is_amazon && !l.is_virtual, "no wildcard certificate covers its dots");
	s3_location_done(&l);
	cr_assert(eq(int, s3_location_parse("https://amazonaws.com.evil.org/plant", &l, &err), 0));
	cr_expect(not(l.is_amazon));
	s3_location_done(&l);
}

Test(s3_location, what_is_no_place_is_refused_with_how_it_is_written)
{
	static const char *const bad[] = { "", "plant", "ftp://h/plant", "http://", "http:///plant",
		"http://h", "http://h/", "http://h/ab", "http://h/pl ant", "http://h/pl%61nt",
		"http://h/.plant", "http://u:p@h/plant", "http://h/plant/a%2",
		"http://h/plant/a%00b", "http://h/plant?x=1", "http://h/plant?region",
		"http://h/plant?region=", "http://h/plant?region=a&region=b",
		"http://h/plant?region=a/b", "http://h/plant?style=other",
		"http://h/plant?view=new", "http://h/plant?&" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct s3_location l;
		cr_expect(eq(int, s3_location_parse(bad[i], &l, &err), -ERR_USAGE), "%s", bad[i]);
		cr_expect(ne(str, err.hint, ""));
		s3_location_done(&l);
	}
}
