"""The command line of the fuzzer."""

from tests.hostile.fuzzing.run import main

if __name__ == "__main__":
    main()
