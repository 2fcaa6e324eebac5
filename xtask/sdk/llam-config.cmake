# Package configuration of llam: the targets llam::runtime and llam::runtime_shared.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include("${CMAKE_CURRENT_LIST_DIR}/llam-targets.cmake")
set(llam_FOUND TRUE)
