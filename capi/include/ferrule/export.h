/**
 * The marker of exported declarations.
 *
 * FER_STATIC is defined by users of the static library, FER_BUILDING by the library's own build.
 */
#ifndef FERRULE_EXPORT_H
#define FERRULE_EXPORT_H

#if defined(SWIG) || defined(FER_STATIC)
#define FER_API
#elif defined(_WIN32) && defined(FER_BUILDING)
#define FER_API __declspec(dllexport)
#elif defined(_WIN32)
#define FER_API __declspec(dllimport)
#elif defined(__GNUC__)
#define FER_API __attribute__((visibility("default")))
#else
#define FER_API
#endif

#ifdef __cplusplus
#define FER_BEGIN_DECLS extern "C" {
#define FER_END_DECLS   }
#else
#define FER_BEGIN_DECLS
#define FER_END_DECLS
#endif

#endif
