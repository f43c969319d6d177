/**
 * Tables of methods.
 */
#ifndef FER_NODE_CLASS_H
#define FER_NODE_CLASS_H

#include <node_api.h>

/** An entry of napi_define_class() or napi_define_properties(): a method, not writable, not listed. */
#define FER_NODE_METHOD(name, function) \
    { (name), NULL, (function), NULL, NULL, NULL, napi_default, NULL }

/** How many entries a table has. */
#define FER_NODE_COUNT(table) (sizeof(table) / sizeof((table)[0]))

#endif
