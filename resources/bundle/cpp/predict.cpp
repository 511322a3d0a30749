// Asks model.onnx about pictures: predict BUNDLE PICTURE... See CMakeLists.txt for how it is built.
#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>

struct Picture {
    int64_t height = 0, width = 0;
    std::vector<uint8_t> pixels;  // rows of red, green, blue
};

static std::string read_file(const std::string& name) {
    std::ifstream file(name, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + name);
    return {std::istreambuf_iterator<char>(file), {}};
}

// How a camera was held: 1 upright, 3 upside down, 6 and 8 on its sides, the others mirrored (EXIF tag 0x0112).
static int orientation(const std::string& file) {
    const auto at = file.find(std::string("Exif\0\0", 6));
    if (file.compare(0, 2, "\xFF\xD8") != 0 || at == std::string::npos || at + 14 > file.size()) return 1;
    const size_t tiff = at + 6;
    const bool little = file[tiff] == 'I';
    const auto number = [&](size_t place, int bytes) -> uint32_t {
        uint32_t value = 0;
        for (int i = 0; i < bytes && place + i < file.size(); ++i)
            value |= uint32_t(uint8_t(file[place + i])) << 8 * (little ? i : bytes - 1 - i);
        return value;
    };
    const size_t folder = tiff + number(tiff + 4, 4);
    for (uint32_t entry = 0; entry < number(folder, 2) && entry < 512; ++entry)
        if (number(folder + 2 + 12 * entry, 2) == 0x0112) return int(number(folder + 2 + 12 * entry + 8, 2));
    return 1;
}

struct OtherFormat : std::exception {};

// Whether it begins like a picture of a format that stb_image has no decoder for.
static bool is_of_another_format(const std::string& file) {
    const auto says = [&](size_t place, const std::string& mark) { return file.compare(std::min(place, file.size()), mark.size(), mark) == 0; };
    const bool tiff = says(0, std::string("II*\0", 4)) || says(0, std::string("MM\0*", 4));
    return tiff || (says(0, "RIFF") && says(8, "WEBP")) || says(4, "ftyp") || says(4, "jP  ") || says(0, "\xFF\x4F\xFF\x51");
}

static Picture load(const std::string& name) {
    const std::string file = read_file(name);
    if (is_of_another_format(file)) throw OtherFormat();
    const uint8_t* bytes = reinterpret_cast<const uint8_t*>(file.data());
    // stb_image scales the 16 bits of a PNG, but mixes up those of a PGM or PPM.
    if (file.compare(0, 1, "P") == 0 && stbi_is_16_bit_from_memory(bytes, int(file.size())))
        throw std::runtime_error("pixels of this depth are not known here");
    int width = 0, height = 0, channels = 0;
    uint8_t* decoded = stbi_load_from_memory(bytes, int(file.size()), &width, &height, &channels, 4);
    if (!decoded) throw std::runtime_error("cannot decode " + name);
    const int turn = orientation(file);
    const bool sideways = turn >= 5 && turn <= 8;
    Picture upright{sideways ? width : height, sideways ? height : width, std::vector<uint8_t>(size_t(width) * height * 3)};
    for (int64_t y = 0; y < upright.height; ++y)
        for (int64_t x = 0; x < upright.width; ++x) {
            int64_t row = sideways ? x : y, column = sideways ? y : x;
            if (turn == 2 || turn == 3 || turn == 7 || turn == 8) column = width - 1 - column;
            if (turn == 3 || turn == 4 || turn == 6 || turn == 7) row = height - 1 - row;
            const uint8_t* from = decoded + 4 * (row * width + column);
            for (int i = 0; i < 3; ++i)  // what is transparent is laid on white
                upright.pixels[size_t(3 * (y * upright.width + x) + i)] = uint8_t((from[i] * from[3] + 255 * (255 - from[3]) + 127) / 255);
        }
    stbi_image_free(decoded);
    return upright;
}

int main(int count, char** arguments) try {
    if (count < 3) {
        std::fputs("Usage: predict BUNDLE PICTURE...\n", stderr);
        return 2;
    }
    const std::string bundle = std::string(arguments[1]) + "/";
    std::vector<std::string> labels;
    std::ifstream listed(bundle + "labels.txt");
    for (std::string line; std::getline(listed, line);) labels.push_back(line);
    const double threshold = std::atof(read_file(bundle + "threshold.txt").c_str());
    const std::string model = read_file(bundle + "model.onnx");
    Ort::Env environment(ORT_LOGGING_LEVEL_ERROR, "predict");
    Ort::Session session(environment, model.data(), model.size(), Ort::SessionOptions{});
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    const char* const inputs[] = {"picture"};
    const char* const outputs[] = {"probabilities"};
    bool failed = false;
    for (int number = 2; number < count; ++number) {
        Picture picture;
        try {
            picture = load(arguments[number]);
        } catch (const OtherFormat&) {
            std::fprintf(stderr, "%s: this program does not read that format; save it as JPEG or PNG.\n", arguments[number]);
            failed = true;
            continue;
        } catch (const std::exception&) {
            std::fprintf(stderr, "%s: there is no picture here that can be read.\n", arguments[number]);
            failed = true;
            continue;
        }
        // One picture of any size, as rows of pixels: the model resizes, crops and normalises it.
        const std::array<int64_t, 3> shape{picture.height, picture.width, 3};
        auto value = Ort::Value::CreateTensor<uint8_t>(memory, picture.pixels.data(), picture.pixels.size(), shape.data(), shape.size());
        auto answers = session.Run(Ort::RunOptions{}, inputs, &value, 1, outputs, 1);
        const float* shares = answers[0].GetTensorData<float>();
        const size_t best = size_t(std::max_element(shares, shares + labels.size()) - shares);
        std::printf("%s\t%.4f\t%s\n", shares[best] >= threshold ? labels[best].c_str() : "do not know", double(shares[best]), arguments[number]);
    }
    return failed;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
