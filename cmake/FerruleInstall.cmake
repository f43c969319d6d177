# Installation: the libraries, the headers, the CMake package and the pkg-config file.
include(CMakePackageConfigHelpers)

set(FERRULE_CMAKE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/ferrule")

install(
  TARGETS ferrule
  EXPORT ferrule-targets
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT Library NAMELINK_COMPONENT Devel
  RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT Library
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT Devel)
install(
  EXPORT ferrule-targets
  NAMESPACE ferrule::
  DESTINATION "${FERRULE_CMAKE_DIR}"
  COMPONENT Devel)

# A set of its own: programs that use the shared library do not need libuv's development files.
if(FER_BUILD_STATIC)
  install(
    TARGETS ferrule_static
    EXPORT ferrule-static-targets
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT Devel)
  install(
    EXPORT ferrule-static-targets
    NAMESPACE ferrule::
    DESTINATION "${FERRULE_CMAKE_DIR}"
    COMPONENT Devel)
endif()

foreach(header IN LISTS FERRULE_HEADERS)
  get_filename_component(directory "${header}" DIRECTORY)
  install(
    FILES "capi/include/${header}"
    DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/${directory}"
    COMPONENT Devel)
endforeach()

configure_package_config_file(
  cmake/ferrule-config.cmake.in "${PROJECT_BINARY_DIR}/ferrule-config.cmake"
  INSTALL_DESTINATION "${FERRULE_CMAKE_DIR}"
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/ferrule-config-version.cmake"
                                 COMPATIBILITY SameMajorVersion)
install(
  FILES "${PROJECT_BINARY_DIR}/ferrule-config.cmake"
        "${PROJECT_BINARY_DIR}/ferrule-config-version.cmake"
  DESTINATION "${FERRULE_CMAKE_DIR}"
  COMPONENT Devel)

# Paths inside the prefix are written relative to the .pc file, so that the installed tree can be moved.
# A directory that was given as an absolute path outside of the prefix stays absolute.
function(ferrule_pc_directory full variable)
  string(FIND "${full}/" "${CMAKE_INSTALL_PREFIX}/" position)
  if(position EQUAL 0)
    file(RELATIVE_PATH full "${CMAKE_INSTALL_PREFIX}" "${full}")
    set(full "\${prefix}/${full}")
  endif()
  set(${variable} "${full}" PARENT_SCOPE)
endfunction()
ferrule_pc_directory("${CMAKE_INSTALL_FULL_LIBDIR}" FERRULE_PC_LIBDIR)
ferrule_pc_directory("${CMAKE_INSTALL_FULL_INCLUDEDIR}" FERRULE_PC_INCLUDEDIR)
set(FERRULE_PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
if(FERRULE_PC_LIBDIR MATCHES "^\\\${prefix}/")
  file(RELATIVE_PATH up "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
  string(REGEX REPLACE "/$" "" up "${up}")
  set(FERRULE_PC_PREFIX "\${pcfiledir}/${up}")
endif()
configure_file(cmake/ferrule.pc.in "${PROJECT_BINARY_DIR}/ferrule.pc" @ONLY)
install(
  FILES "${PROJECT_BINARY_DIR}/ferrule.pc"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig"
  COMPONENT Devel)
install(
  FILES LICENSE
  DESTINATION "${CMAKE_INSTALL_DOCDIR}"
  COMPONENT Library)
