# The imported targets; where their files are comes from llam-targets-<configuration>.cmake.
if(TARGET llam::runtime)
  return()
endif()

get_filename_component(_llam_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

add_library(llam::runtime STATIC IMPORTED)
set_target_properties(llam::runtime PROPERTIES
  INTERFACE_INCLUDE_DIRECTORIES "${_llam_prefix}/include"
  INTERFACE_LINK_LIBRARIES "Threads::Threads;dl;m")

add_library(llam::runtime_shared SHARED IMPORTED)
set_target_properties(llam::runtime_shared PROPERTIES
  INTERFACE_INCLUDE_DIRECTORIES "${_llam_prefix}/include"
  INTERFACE_LINK_LIBRARIES "Threads::Threads")

file(GLOB _llam_configurations "${CMAKE_CURRENT_LIST_DIR}/llam-targets-*.cmake")
foreach(_llam_configuration IN LISTS _llam_configurations)
  include("${_llam_configuration}")
endforeach()
unset(_llam_configurations)
unset(_llam_prefix)
