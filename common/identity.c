/* SPDX-License-Identifier: Apache-2.0 */
#include "common/identity.h"

#include "common/util.h"

#include <errno.h>
#include <openssl/x509v3.h>
#include <stdio.h>

bool identity_is_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return len > 0 && len <= SITE_NAME_MAX && name[len] == '\0';
}

/* Copies up to `stop` (or the end) into `out`; NULL if it is no name. */
static const char *take_name(const char *from, char stop, char out[SITE_NAME_MAX + 1])
{
    const char *end = strchr(from, stop);
    if (!end || (size_t)(end - from) > SITE_NAME_MAX)
        return NULL;
    memcpy(out, from, (size_t)(end - from));
    out[end - from] = '\0';
    return identity_is_name(out) ? end : NULL;
}

int identity_parse(const char *uri, struct identity *out)
{
    static const char scheme[] = "qfl://";
    char role[SITE_NAME_MAX + 1];
    *out = (struct identity){0};
    if (strncmp(uri, scheme, strlen(scheme)) != 0)
        return -EINVAL;
    const char *at = take_name(uri + strlen(scheme), '/', out->federation);
    at = at ? take_name(at + 1, '/', role) : NULL;
    at = at ? take_name(at + 1, '\0', out->site) : NULL;
    if (!at)
        return -EINVAL;
    out->role = role_parse(role);
    return out->role == ROLE_NONE ? -EINVAL : 0;
}

void identity_format(const struct identity *who, char out[IDENTITY_URI_MAX])
{
    snprintf(
        out, IDENTITY_URI_MAX, "qfl://%s/%s/%s", who->federation, role_name(who->role), who->site);
}

/* The text of a URI of ours, or NULL; a zero byte inside makes it "" and so malformed. */
static const char *our_uri(const GENERAL_NAME *name)
{
    if (name->type != GEN_URI)
        return NULL;
    const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;
    const char *text = (const char *)ASN1_STRING_get0_data(uri);
    size_t len = (size_t)ASN1_STRING_length(uri);
    if (len < 4 || strncasecmp(text, "qfl:", 4) != 0)
        return NULL;
    return strlen(text) == len ? text : "";
}

int identity_of_certificate(const struct x509_st *certificate, struct identity *out)
{
    *out = (struct identity){0};
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int found = 0;
    int r = -EINVAL;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const char *uri = our_uri(sk_GENERAL_NAME_value(names, i));
        if (uri && found++ == 0)
            r = identity_parse(uri, out);
    }
    GENERAL_NAMES_free(names);
    return found == 1 ? r : -EINVAL;
}
