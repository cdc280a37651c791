# What every target shares, and one function a kind of target.

find_program(COFFER_CCACHE ccache)
if(COFFER_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${COFFER_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${COFFER_CCACHE})
endif()
find_program(COFFER_MOLD mold)
if(COFFER_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wno-missing-field-initializers -fno-omit-frame-pointer
                    -fstack-protector-strong)
if(NOT COFFER_SANITIZE AND NOT COFFER_FUZZ)
  add_compile_options(-D_FORTIFY_SOURCE=2)
endif()
add_link_options(-Wl,-z,relro -Wl,-z,now)
if(COFFER_SANITIZE)
  add_compile_options(-fsanitize=${COFFER_SANITIZE} -fno-sanitize-recover=all -g1)
  add_link_options(-fsanitize=${COFFER_SANITIZE})
  add_compile_definitions(COFFER_DEBUG_CHECKS)
endif()
if(COFFER_FUZZ)
  set(fuzz_flags -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fprofile-instr-generate -fcoverage-mapping)
  add_compile_options(${fuzz_flags})
  add_link_options(-fsanitize=address,undefined -fprofile-instr-generate)
  add_compile_definitions(COFFER_DEBUG_CHECKS)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_compile_definitions(COFFER_DEBUG_CHECKS)
endif()

# The repository's root is the include root.
include_directories(${CMAKE_SOURCE_DIR})

find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)

# coffer_library(name DEPS other...): all .cc files of the folder; ones listed in EXCLUDE stay out.
function(coffer_library name)
  cmake_parse_arguments(ARG "" "" "DEPS;EXCLUDE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  foreach(file IN LISTS ARG_EXCLUDE)
    list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  endforeach()
  if(sources)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC ${ARG_DEPS})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE ${ARG_DEPS})
  endif()
endfunction()

# coffer_test(folder DEPS libs...): tests/<folder>/*_test.cc and its helpers become the one Boost.Test binary test_<folder>.
# Its working directory is the repository's root, so golden files and scenarios are opened by their path from there.
function(coffer_test folder)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${folder}/*.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(test_${folder} ${sources})
  target_link_libraries(test_${folder} PRIVATE ${ARG_DEPS} coffer_test_main)
  target_precompile_headers(test_${folder} REUSE_FROM coffer_test_main)
  add_test(NAME unit.${folder} COMMAND test_${folder} --color_output=no WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  # Which test cases passed, for contracts.ran and advisories.ran.
  set_tests_properties(unit.${folder} PROPERTIES FIXTURES_SETUP contracts ENVIRONMENT
                       COFFER_RAN=${CMAKE_BINARY_DIR}/ran/unit.${folder})
endfunction()
