# What every target of the project is compiled and linked with. Called per target, so that nothing
# leaks into a project that adds this one as a subdirectory.

# ferrule_setup_target(<target>): language level, warnings, sanitizers, coverage.
function(ferrule_setup_target target)
  set_target_properties(
    ${target}
    PROPERTIES C_STANDARD 11
               C_STANDARD_REQUIRED ON
               C_VISIBILITY_PRESET hidden
               POSITION_INDEPENDENT_CODE ON)
  if(CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
    target_compile_options(
      ${target}
      PRIVATE $<$<COMPILE_LANGUAGE:C>:-Wall
              -Wextra
              -Wpedantic
              -Wshadow
              -Wconversion
              -Wstrict-prototypes
              -Wmissing-prototypes
              -Wvla>)
    if(FER_WERROR)
      target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:C>:-Werror>)
    endif()
  endif()
  ferrule_instrument_target(${target})
endfunction()

# ferrule_instrument_target(<target>): only the sanitizers and coverage; for generated code, which is
# not held to our warnings.
function(ferrule_instrument_target target)
  if(FER_SANITIZE)
    list(JOIN FER_SANITIZE "," names)
    target_compile_options(${target} PRIVATE -fsanitize=${names} -fno-sanitize-recover=all
                                             -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${names})
  endif()
  if(FER_COVERAGE)
    target_compile_options(${target} PRIVATE --coverage)
    target_link_options(${target} PRIVATE --coverage)
  endif()
endfunction()

# ferrule_link_exports(<target> <version script>): export only what the script names.
function(ferrule_link_exports target script)
  target_link_options(${target} PRIVATE "LINKER:--version-script=${script}")
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS "${script}")
endfunction()

# ferrule_use_libuv_headers(<target>): the headers without the library. The objects leave uv_* undefined:
# what they are linked into decides which libuv they run on.
function(ferrule_use_libuv_headers target)
  target_include_directories(
    ${target} SYSTEM
    PRIVATE $<TARGET_PROPERTY:PkgConfig::FERRULE_LIBUV,INTERFACE_INCLUDE_DIRECTORIES>)
endfunction()
