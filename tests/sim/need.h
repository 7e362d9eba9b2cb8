/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that must be there: a test that runs out of it has nothing to say. */
#pragma once

#include <stdlib.h>

static inline void *need(void *p)
{
    if (!p)
        abort();
    return p;
}

static inline void need_ok(int result)
{
    if (result < 0)
        abort();
}
