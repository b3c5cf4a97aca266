# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# One test program in several builds: plain, under the sanitizers, and for a
# big-endian machine. A build that this machine has no tools for is a test that
# says so and counts as skipped.

find_program(PCV_BE_CC powerpc64-linux-gnu-gcc)
find_program(PCV_BE_RUN NAMES qemu-ppc64 qemu-ppc64-static)
find_package(Threads REQUIRED)

set(PCV_FLAGS_plain)
set(PCV_FLAGS_asan -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
set(PCV_FLAGS_tsan -fsanitize=thread)

# What is needed to run a big-endian program, empty without.
if(PCV_BE_CC AND PCV_BE_RUN)
	set(PCV_BE TRUE)
endif()

function(pcv_skip name why)
	add_test(NAME ${name} COMMAND sh -c "echo 'skipped: ${why}'; exit 77")
	set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77)
endfunction()

# pcv_program(target flavour SOURCES... DEFINES...)
function(pcv_program target flavour)
	cmake_parse_arguments(P "" "" "SOURCES;DEFINES" ${ARGN})
	if(flavour STREQUAL be)
		list(TRANSFORM P_DEFINES PREPEND -D)
		set(includes ${PCV_CORE_INCLUDE} ${PROJECT_SOURCE_DIR}/tests/unit)
		list(TRANSFORM includes PREPEND -I)
		file(GLOB headers ${PROJECT_SOURCE_DIR}/tests/unit/*.h)
		add_custom_command(OUTPUT ${target}
			COMMAND ${PCV_BE_CC} -O2 -g -std=gnu11 -static ${PCV_WARNINGS} ${includes}
				${P_DEFINES} ${P_SOURCES} -o ${target} -lpthread
			DEPENDS ${P_SOURCES} ${PCV_CORE_HEADERS} ${headers}
			WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR} VERBATIM)
		add_custom_target(${target}-build ALL DEPENDS ${target})
		return()
	endif()
	add_executable(${target} ${P_SOURCES})
	target_include_directories(${target} PRIVATE ${PCV_CORE_INCLUDE} ${PROJECT_SOURCE_DIR}/tests/unit)
	target_compile_definitions(${target} PRIVATE ${P_DEFINES})
	target_compile_options(${target} PRIVATE ${PCV_WARNINGS} ${PCV_FLAGS_${flavour}})
	target_link_options(${target} PRIVATE ${PCV_FLAGS_${flavour}})
	target_link_libraries(${target} PRIVATE Threads::Threads)
endfunction()

# pcv_test(area name FLAVOURS... SOURCES... DEFINES...): a program for each flavour and its test
function(pcv_test area name)
	cmake_parse_arguments(P "" "" "FLAVOURS;SOURCES;DEFINES" ${ARGN})
	set(P_SOURCES_ABS)
	foreach(source ${P_SOURCES})
		get_filename_component(source ${source} ABSOLUTE)
		list(APPEND P_SOURCES_ABS ${source})
	endforeach()
	foreach(flavour ${P_FLAVOURS})
		set(target ${area}-${name}-${flavour})
		set(test ${area}/${name}-${flavour})
		if(flavour STREQUAL be AND NOT PCV_BE)
			pcv_skip(${test} "needs gcc-powerpc64-linux-gnu and qemu-user")
			continue()
		endif()
		pcv_program(${target} ${flavour} SOURCES ${P_SOURCES_ABS} DEFINES ${P_DEFINES})
		if(flavour STREQUAL be)
			add_test(NAME ${test} COMMAND ${PCV_BE_RUN} ${CMAKE_CURRENT_BINARY_DIR}/${target})
		else()
			add_test(NAME ${test} COMMAND ${target})
		endif()
		set_tests_properties(${test} PROPERTIES TIMEOUT 60)
	endforeach()
endfunction()
