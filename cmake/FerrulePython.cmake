# One Python for everything: the headers that the module is compiled against, its suffix, and the
# interpreter that runs the tests. A machine can have several; the one of .venv (made by ./dev) comes first.
if(NOT DEFINED Python3_EXECUTABLE AND EXISTS "${PROJECT_SOURCE_DIR}/.venv/bin/python")
  set(Python3_EXECUTABLE "${PROJECT_SOURCE_DIR}/.venv/bin/python"
      CACHE FILEPATH "The Python to build for and to test with")
endif()

if(FER_BUILD_PYTHON)
  find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter Development.Module)
else()
  find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)
endif()

# SWIG from PyPI is installed beside the interpreter; it is newer than most systems' own.
if(FER_BUILD_PYTHON AND NOT DEFINED SWIG_EXECUTABLE)
  get_filename_component(directory "${Python3_EXECUTABLE}" DIRECTORY)
  find_program(SWIG_EXECUTABLE NAMES swig HINTS "${directory}" NO_CACHE)
  if(SWIG_EXECUTABLE)
    set(SWIG_EXECUTABLE "${SWIG_EXECUTABLE}" CACHE FILEPATH "The SWIG to use")
  endif()
endif()
