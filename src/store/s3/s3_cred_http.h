/*
 * s3_cred_http: keys that the platform hands out: the metadata service of a virtual machine
 * (IMDSv2), of a container or pod, and a security token service that takes a web identity.
 * Where they are is read from the environment each time, as is the token file.
 */
#ifndef STORE_S3_S3_CRED_HTTP_H
#define STORE_S3_S3_CRED_HTTP_H

#include <stdbool.h>

struct err;
struct s3_cred_key;

#define S3_CRED_HTTP_CONNECT_MS 2000L
#define S3_CRED_HTTP_TOTAL_MS 10000L

/* Each returns 0, -ERR_NOT_FOUND (nothing of the kind is here) or -ERR_AUTH (it is, and gives no
 * key). */

/* AWS_EC2_METADATA_SERVICE_ENDPOINT, else the usual address. */
int s3_cred_http_instance(struct s3_cred_key *out, struct err *err);
/* AWS_CONTAINER_CREDENTIALS_FULL_URI, with AWS_CONTAINER_AUTHORIZATION_TOKEN(_FILE). */
int s3_cred_http_container(struct s3_cred_key *out, struct err *err);
/* AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, at AWS_ENDPOINT_URL_STS or AWS_REGION's. */
int s3_cred_http_web_identity(struct s3_cred_key *out, struct err *err);

#endif
