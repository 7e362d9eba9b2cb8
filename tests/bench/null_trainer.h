/* SPDX-License-Identifier: Apache-2.0 */
/* The size of LeNet-5, for rounds without training. */
#pragma once

#define NULL_PARAMETERS 61706
